# SPDX-License-Identifier: Apache-2.0
# The daemon arild: cmd/arild over src/proxy, with libevent. What it shares with the command aril
# (arguments, failures) is compiled from there.

pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent)

file(GLOB daemon_sources CONFIGURE_DEPENDS "${source_dir}/cmd/arild/*.c")
set(daemon_shared "${source_dir}/cmd/aril/args.c" "${source_dir}/cmd/aril/failure.c"
                  "${source_dir}/cmd/aril/out.c")

# Everything but main(), so that tests can link it.
add_library(arild_objects OBJECT ${daemon_sources} ${daemon_shared})
target_include_directories(arild_objects PRIVATE
    "${source_dir}/include" "${source_dir}/src" "${source_dir}/cmd/arild" "${source_dir}/cmd/aril")
target_link_libraries(arild_objects PRIVATE
    aril_flags aril_openssl_headers PkgConfig::JANSSON PkgConfig::LIBEVENT)

add_executable(arild $<TARGET_OBJECTS:arild_objects>)
target_link_libraries(arild PRIVATE
    aril_flags aril_test_lib PkgConfig::JANSSON PkgConfig::LIBEVENT)
