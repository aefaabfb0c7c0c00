# SPDX-License-Identifier: Apache-2.0
# The admin listener of arild as a library, arild_admin: for the daemon and for tests, which bring
# arili_proxy_ready(), _metrics() and _status_json() themselves.

pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent)

set(page_dir "${source_dir}/cmd/arild/page")
set(page_source "${generated_dir}/arild_page.c")
file(GLOB page_files CONFIGURE_DEPENDS "${page_dir}/*.*")
add_custom_command(
    OUTPUT "${page_source}"
    COMMAND "${CMAKE_COMMAND}" "-DOUT=${page_source}" "-DFOLDER=${page_dir}"
            -P "${source_dir}/cmake/ArilEmbed.cmake"
    DEPENDS ${page_files} "${source_dir}/cmake/ArilEmbed.cmake"
    COMMENT "Embedding the status page" VERBATIM)

file(GLOB admin_sources CONFIGURE_DEPENDS "${source_dir}/cmd/arild/admin*.c")
add_library(arild_admin STATIC ${admin_sources} "${page_source}")
target_include_directories(arild_admin PUBLIC
    "${source_dir}/include" "${source_dir}/src" "${source_dir}/cmd/arild")
target_link_libraries(arild_admin PRIVATE aril_flags PUBLIC aril_inside PkgConfig::LIBEVENT)
