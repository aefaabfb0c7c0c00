# SPDX-License-Identifier: Apache-2.0
# cmake --install: libraries, headers, pkg-config file, the command, man pages.

if(ARIL_SANITIZE)
    return()
endif()

# The .pc file finds its prefix by its own place, so --prefix may be chosen at
# installation.
cmake_path(SET pc_dir "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(SET pc_prefix "/prefix")
cmake_path(RELATIVE_PATH pc_prefix BASE_DIRECTORY "${pc_dir}" OUTPUT_VARIABLE pc_to_prefix)
list(JOIN openssl_private " " pc_libs_private)
configure_file("${source_dir}/cmake/aril.pc.in" "${generated_dir}/aril.pc" @ONLY)

install(TARGETS aril LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${static_lib}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${generated_dir}/aril.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(DIRECTORY "${source_dir}/include/aril" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
if(TARGET aril_command)
    install(TARGETS aril_command RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
if(TARGET arild)
    install(TARGETS arild RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
    # The prefix may be chosen at installation, and a unit needs whole paths. Files below lib/ are
    # where systemd looks for them under /usr and /usr/local.
    install(CODE "
        set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
        configure_file(\"${source_dir}/packaging/arild.service\"
                       \"${generated_dir}/arild.service\" @ONLY)")
    install(FILES "${generated_dir}/arild.service" DESTINATION lib/systemd/system)
    install(FILES "${source_dir}/packaging/aril.sysusers" DESTINATION lib/sysusers.d
            RENAME aril.conf)
    install(FILES "${source_dir}/packaging/aril.tmpfiles" DESTINATION lib/tmpfiles.d
            RENAME aril.conf)
endif()
foreach(section RANGE 1 8)
    file(GLOB pages CONFIGURE_DEPENDS "${source_dir}/man/*.${section}")
    if(pages)
        install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
    endif()
endforeach()
