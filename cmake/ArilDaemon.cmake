# SPDX-License-Identifier: Apache-2.0
# The daemon arild: cmd/arild over src/proxy, with libevent. What it shares with the command aril
# (arguments, failures) is compiled from there.

file(GLOB daemon_sources CONFIGURE_DEPENDS "${source_dir}/cmd/arild/*.c")
list(REMOVE_ITEM daemon_sources "${source_dir}/cmd/arild/main.c")
# The admin listener is a library of its own: cmake/ArilAdmin.cmake.
list(FILTER daemon_sources EXCLUDE REGEX "/admin[^/]*\\.c$")

# Everything but main(), so that tests can link it.
add_library(arild_parts STATIC ${daemon_sources} "${source_dir}/cmd/aril/args.c"
            "${source_dir}/cmd/aril/failure.c" "${source_dir}/cmd/aril/out.c")
target_include_directories(arild_parts PUBLIC
    "${source_dir}/include" "${source_dir}/src" "${source_dir}/cmd/arild" "${source_dir}/cmd/aril")
target_link_libraries(arild_parts PRIVATE aril_flags)
target_link_libraries(arild_parts PUBLIC
    arild_admin aril_inside PkgConfig::JANSSON PkgConfig::LIBEVENT)

add_executable(arild "${source_dir}/cmd/arild/main.c")
target_link_libraries(arild PRIVATE aril_flags arild_parts aril_inside)
