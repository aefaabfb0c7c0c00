# SPDX-License-Identifier: Apache-2.0
# The command aril, and the benchmark. The command includes public headers alone, but for its files
# proxy*.c, which use proxy/ (tools/layers.py). So it is linked with the library whose inner names
# are visible.

find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

file(GLOB command_sources CONFIGURE_DEPENDS "${source_dir}/cmd/aril/*.c")
if(command_sources)
    add_executable(aril_command ${command_sources})
    set_target_properties(aril_command PROPERTIES OUTPUT_NAME aril)
    target_include_directories(aril_command PRIVATE
        "${source_dir}/include" "${source_dir}/cmd/aril" "${source_dir}/src")
    target_link_libraries(aril_command PRIVATE
        aril_flags aril_inside PkgConfig::JANSSON dl m pthread)
endif()

file(GLOB bench_sources CONFIGURE_DEPENDS "${source_dir}/bench/*.c")
if(ARIL_BENCH AND bench_sources)
    add_executable(aril_bench ${bench_sources})
    target_include_directories(aril_bench PRIVATE
        "${source_dir}/include" "${source_dir}/src" "${source_dir}/bench")
    target_link_libraries(aril_bench PRIVATE
        aril_flags aril_inside aril_openssl_headers PkgConfig::JANSSON)
    add_dependencies(aril_bench arild)

    # Counts what arild copies; loaded by it alone, for one measurement.
    add_library(aril_bench_copies MODULE "${source_dir}/bench/preload/copies.c")
    target_compile_options(aril_bench_copies PRIVATE -fno-builtin -U_FORTIFY_SOURCE)
    target_link_libraries(aril_bench_copies PRIVATE aril_flags)
    add_dependencies(aril_bench aril_bench_copies)
endif()
