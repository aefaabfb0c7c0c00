# SPDX-License-Identifier: Apache-2.0
# The daemon arild: cmd/arild over src/proxy, with libevent. What it shares with the command aril
# (arguments, failures) is compiled from there.

file(GLOB daemon_sources CONFIGURE_DEPENDS "${source_dir}/cmd/arild/*.c")
list(REMOVE_ITEM daemon_sources "${source_dir}/cmd/arild/main.c" ${admin_sources})

# Everything but main(), so that tests can link it.
add_library(arild_parts STATIC ${daemon_sources} "${source_dir}/cmd/aril/args.c"
            "${source_dir}/cmd/aril/failure.c" "${source_dir}/cmd/aril/out.c")
target_include_directories(arild_parts PUBLIC
    "${source_dir}/include" "${source_dir}/src" "${source_dir}/cmd/arild" "${source_dir}/cmd/aril")
target_link_libraries(arild_parts PRIVATE aril_flags)
target_link_libraries(arild_parts PUBLIC PkgConfig::JANSSON PkgConfig::LIBEVENT)

add_executable(arild "${source_dir}/cmd/arild/main.c")
target_link_libraries(arild PRIVATE aril_flags arild_parts arild_admin aril_inside)
