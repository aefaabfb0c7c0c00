# SPDX-License-Identifier: Apache-2.0
# One set of objects, three libraries:
#   aril           libaril.so; OpenSSL inside, only the names of tools/exports.txt visible
#   aril_static    libaril.a; the same as one object file
#   aril_inside    libaril_inside.a; everything visible, for our own programs, tests and benchmarks;
#                  not installed

set(source_dir "${CMAKE_CURRENT_SOURCE_DIR}")
set(generated_dir "${CMAKE_CURRENT_BINARY_DIR}/generated")

file(GLOB library_sources CONFIGURE_DEPENDS
     "${source_dir}/src/*/*.c" "${source_dir}/src/*/*/*.c")
list(FILTER library_sources EXCLUDE REGEX "/src/proxy/")
add_library(aril_objects OBJECT ${library_sources})
target_include_directories(aril_objects PRIVATE "${source_dir}/include" "${source_dir}/src")
target_link_libraries(aril_objects PRIVATE aril_flags)

# The proxy is no part of the library: only our own programs and the tests have it.
file(GLOB proxy_sources CONFIGURE_DEPENDS "${source_dir}/src/proxy/*.c")
add_library(aril_proxy_objects OBJECT ${proxy_sources})
target_include_directories(aril_proxy_objects PRIVATE "${source_dir}/include" "${source_dir}/src")
target_link_libraries(aril_proxy_objects PRIVATE aril_flags)

# The keyring's file is SQLite's, and cachekit's values are LZ4 blocks; nothing else besides libc is
# linked. xxHash is headers alone. The libraries of TPM 2.0 and PKCS#11 modules are loaded when a
# keystore asks for them, so only headers count.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(P11KIT IMPORTED_TARGET p11-kit-1)
if(P11KIT_FOUND)
    target_include_directories(aril_objects SYSTEM PRIVATE ${P11KIT_INCLUDE_DIRS})
endif()

# Only the OpenSSL provider of the crypto layer sees OpenSSL's headers.
file(GLOB openssl_sources CONFIGURE_DEPENDS "${source_dir}/src/crypto/openssl_*.c")
if(openssl_sources AND openssl_include_options)
    set_source_files_properties(${openssl_sources} PROPERTIES
        COMPILE_OPTIONS "${openssl_include_options}")
endif()

add_library(aril_inside STATIC
    $<TARGET_OBJECTS:aril_objects> $<TARGET_OBJECTS:aril_proxy_objects>)
set_target_properties(aril_inside PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(aril_inside PUBLIC
    aril_libssl PkgConfig::SQLITE PkgConfig::LZ4 dl m pthread)

# A sanitizer's runtime belongs to the program, so these builds have no libraries
# to install.
if(ARIL_SANITIZE)
    return()
endif()

# exports.txt has one name a line; '#' starts a comment.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source_dir}/tools/exports.txt")
file(STRINGS "${source_dir}/tools/exports.txt" exported REGEX "^[a-z]")
list(JOIN exported "\n" export_lines)
set(map_lines "")
if(exported)
    list(JOIN exported ";\n    " map_lines)
    set(map_lines "global:\n    ${map_lines};\n")
endif()
file(CONFIGURE OUTPUT "${generated_dir}/aril.map"
     CONTENT "{\n${map_lines}local:\n    *;\n};\n" @ONLY)
# objcopy takes an empty list for "keep all", so one name is always there.
file(CONFIGURE OUTPUT "${generated_dir}/aril.keep"
     CONTENT "aril_no_such_symbol\n${export_lines}\n" @ONLY)

add_library(aril SHARED $<TARGET_OBJECTS:aril_objects>)
set_target_properties(aril PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C
    LINK_DEPENDS "${generated_dir}/aril.map")
target_link_libraries(aril PRIVATE
    aril_flags aril_libssl PkgConfig::SQLITE PkgConfig::LZ4 dl m pthread)
target_link_options(aril PRIVATE
    -Wl,--exclude-libs,ALL -Wl,-Bsymbolic -Wl,--no-undefined -Wl,--as-needed
    "-Wl,--version-script=${generated_dir}/aril.map")

set(static_lib "${CMAKE_CURRENT_BINARY_DIR}/libaril.a")
add_custom_command(
    OUTPUT "${static_lib}"
    # -d: common symbols get their place here, or objcopy could not hide them.
    COMMAND "${CMAKE_LINKER}" -r -d -o "${generated_dir}/aril_all.o"
            "$<TARGET_OBJECTS:aril_objects>" "${openssl_libssl}" "${openssl_libcrypto}"
    COMMAND "${CMAKE_OBJCOPY}" "--keep-global-symbols=${generated_dir}/aril.keep"
            "${generated_dir}/aril_all.o" "${generated_dir}/aril.o"
    COMMAND "${CMAKE_COMMAND}" -E rm -f "${static_lib}" "${generated_dir}/aril_all.o"
    COMMAND "${CMAKE_AR}" rcs "${static_lib}" "${generated_dir}/aril.o"
    DEPENDS aril_objects "$<TARGET_OBJECTS:aril_objects>" "${openssl_libssl}"
            "${openssl_libcrypto}"
            "${generated_dir}/aril.keep"
    COMMENT "Linking libaril.a"
    COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(aril_static_file ALL DEPENDS "${static_lib}")

add_library(aril_static STATIC IMPORTED)
add_dependencies(aril_static aril_static_file)
set_target_properties(aril_static PROPERTIES
    IMPORTED_LOCATION "${static_lib}"
    INTERFACE_LINK_LIBRARIES "${openssl_private};PkgConfig::SQLITE;PkgConfig::LZ4;m")
