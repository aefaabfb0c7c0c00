# SPDX-License-Identifier: Apache-2.0
# Finds OpenSSL >= 3.5 and makes three targets:
#   aril_openssl_headers  the include folder
#   aril_libcrypto        the static libcrypto with what it needs
#   aril_libssl           the static libssl, and libcrypto

set(openssl_root "${ARIL_OPENSSL_ROOT}")
if(NOT openssl_root)
    execute_process(COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/tools/setup.sh" where openssl
                    OUTPUT_VARIABLE openssl_root OUTPUT_STRIP_TRAILING_WHITESPACE
                    RESULT_VARIABLE openssl_missing)
    if(openssl_missing)
        message(FATAL_ERROR "OpenSSL 3.5 or newer is missing. Run tools/setup.sh build, or set "
                            "ARIL_OPENSSL_ROOT to its prefix.")
    endif()
endif()

# Not cached: the answer follows the set-up, not the first configuration.
find_path(openssl_include openssl/opensslv.h
          PATHS "${openssl_root}/include" NO_DEFAULT_PATH NO_CACHE)
find_library(openssl_libcrypto libcrypto.a
             PATHS "${openssl_root}/lib" "${openssl_root}/lib64"
                   "${openssl_root}/lib/${CMAKE_LIBRARY_ARCHITECTURE}"
             NO_DEFAULT_PATH NO_CACHE)
if(NOT openssl_include OR NOT openssl_libcrypto)
    message(FATAL_ERROR "${openssl_root} holds no openssl/opensslv.h or no libcrypto.a")
endif()
# Of the same folder: two versions in one library would not fit.
cmake_path(GET openssl_libcrypto PARENT_PATH openssl_libdir)
set(openssl_libssl "${openssl_libdir}/libssl.a")
if(NOT EXISTS "${openssl_libssl}")
    message(FATAL_ERROR "${openssl_libdir} holds libcrypto.a and no libssl.a")
endif()

file(STRINGS "${openssl_include}/openssl/opensslv.h" openssl_lines
     REGEX "^# *define +OPENSSL_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" openssl_numbers "${openssl_lines}")
list(JOIN openssl_numbers "." openssl_version)
if(openssl_version VERSION_LESS 3.5)
    message(FATAL_ERROR "OpenSSL in ${openssl_root} is ${openssl_version}; aril needs 3.5")
endif()
message(STATUS "OpenSSL ${openssl_version} in ${openssl_root}")

# A distribution's libcrypto.a may need zlib and zstd; its .pc file says so.
set(openssl_private -ldl -pthread)
if(EXISTS "${openssl_libdir}/pkgconfig/libcrypto.pc")
    file(STRINGS "${openssl_libdir}/pkgconfig/libcrypto.pc" pc_line REGEX "^Libs.private:")
    string(REGEX MATCHALL "-l[a-z0-9]+|-pthread" openssl_private "${pc_line}")
endif()

add_library(aril_openssl_headers INTERFACE)
set(openssl_include_options)
if(NOT openssl_include STREQUAL "/usr/include")
    set(openssl_include_options -isystem "${openssl_include}")
    target_include_directories(aril_openssl_headers SYSTEM INTERFACE "${openssl_include}")
endif()

add_library(aril_libcrypto STATIC IMPORTED)
set_target_properties(aril_libcrypto PROPERTIES
    IMPORTED_LOCATION "${openssl_libcrypto}"
    INTERFACE_LINK_LIBRARIES "${openssl_private}")

add_library(aril_libssl STATIC IMPORTED)
set_target_properties(aril_libssl PROPERTIES
    IMPORTED_LOCATION "${openssl_libssl}"
    INTERFACE_LINK_LIBRARIES aril_libcrypto)
