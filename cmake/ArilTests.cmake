# SPDX-License-Identifier: Apache-2.0
# Tests, found by their folder:
#   tests/{unit/*,contract,kat,fault,stress,model,.}/*_test.c  one program each
#   tests/scripts/*.sh, tests/scripts/*_test.py                one ctest entry each
#   tests/fuzz/*_fuzz.c                                        a replay of the corpus each
# Exit status 77 means skipped; the reason is the last line of output.

pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
# Debian's own interpreter first: it is the one that sees Debian's modules.
find_program(ARIL_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(ARIL_PYTHON python3 REQUIRED)

set(tests_dir "${source_dir}/tests")
set(vectors_dir "${source_dir}/../shared/vectors")
execute_process(COMMAND "${source_dir}/tools/setup.sh" where oracles
                OUTPUT_VARIABLE node_modules OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND "${source_dir}/tools/setup.sh" where clients
                OUTPUT_VARIABLE client_modules OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
execute_process(COMMAND "${source_dir}/tools/setup.sh" where llama
                OUTPUT_VARIABLE llama_modules OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)

set(test_environment
    "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=${tests_dir}/tsan.supp"
    "ARIL_BUILD_DIR=${CMAKE_CURRENT_BINARY_DIR}"
    "ARIL_SOURCE_DIR=${source_dir}"
    "ARIL_NODE_MODULES=${node_modules}"
    "ARIL_CLIENT_MODULES=${client_modules}"
    "ARIL_LLAMA_MODULES=${llama_modules}"
    "ARIL_PYTHON=${ARIL_PYTHON}"
    "ARIL_SANITIZE=${ARIL_SANITIZE}"
    "CC=${CMAKE_C_COMPILER}")

# --- what all test programs share

add_library(aril_test_flags INTERFACE)
target_include_directories(aril_test_flags INTERFACE
    "${source_dir}/include" "${source_dir}/src" "${tests_dir}/support" "${tests_dir}/contract")
target_compile_definitions(aril_test_flags INTERFACE
    "ARIL_SOURCE_DIR=\"${source_dir}\""
    "ARIL_VECTORS_DIR=\"${vectors_dir}\""
    "ARIL_TEST_DATA_DIR=\"${tests_dir}/data\"")
target_link_libraries(aril_test_flags INTERFACE
    aril_flags aril_openssl_headers PkgConfig::CMOCKA PkgConfig::JANSSON)

file(GLOB support_sources CONFIGURE_DEPENDS
     "${tests_dir}/support/*.c" "${tests_dir}/contract/*_contract.c")
if(support_sources)
    add_library(aril_test_support STATIC ${support_sources})
    target_link_libraries(aril_test_support PUBLIC aril_test_flags aril_inside)
else()
    add_library(aril_test_support INTERFACE)
    target_link_libraries(aril_test_support INTERFACE aril_test_flags aril_inside)
endif()

# --- a PKCS#11 module that lies and fails, for the keystore that loads one

if(P11KIT_FOUND)
    target_include_directories(aril_test_flags SYSTEM INTERFACE ${P11KIT_INCLUDE_DIRS})
    file(GLOB fake_pkcs11_sources CONFIGURE_DEPENDS "${tests_dir}/tools/fake_pkcs11*.c")
    add_library(fake_pkcs11 MODULE ${fake_pkcs11_sources})
    target_include_directories(fake_pkcs11 PRIVATE "${tests_dir}/support")
    target_include_directories(fake_pkcs11 SYSTEM PRIVATE ${P11KIT_INCLUDE_DIRS})
    target_link_libraries(fake_pkcs11 PRIVATE aril_flags pthread)
    set_target_properties(fake_pkcs11 PROPERTIES
        PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/tools")
    # Modules that others can write are refused, whatever the umask of the build.
    add_custom_command(TARGET fake_pkcs11 POST_BUILD
        COMMAND chmod go-w "$<TARGET_FILE:fake_pkcs11>" VERBATIM)
    target_compile_definitions(aril_test_flags INTERFACE
        "ARIL_FAKE_PKCS11=\"${CMAKE_CURRENT_BINARY_DIR}/tests/tools/fake_pkcs11.so\"")
    add_dependencies(aril_test_support fake_pkcs11)
endif()

# --- test programs

# One program for SOURCE. tests/unit/base/status_test.c becomes the ctest entry
# unit/base/status with the label unit.
function(aril_add_test source)
    cmake_path(RELATIVE_PATH source BASE_DIRECTORY "${tests_dir}" OUTPUT_VARIABLE path)
    string(REGEX REPLACE "_test\\.c$" "" name "${path}")
    string(REPLACE "/" "_" target "test_${name}")
    string(REGEX REPLACE "/.*" "" label "${name}")
    if(label STREQUAL name)
        set(label whole)
    elseif(label STREQUAL "stress")
        set(label threads)
    endif()
    add_executable(${target} "${source}")
    set_target_properties(${target} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/${label}")
    if(name MATCHES "^unit/arild/admin")
        target_link_libraries(${target} PRIVATE arild_admin)
    elseif(name MATCHES "^unit/arild/")
        target_link_libraries(${target} PRIVATE arild_parts)
    endif()
    target_link_libraries(${target} PRIVATE aril_test_support aril_inside)
    if(label STREQUAL "fault")
        target_link_options(${target} PRIVATE -Wl,--wrap=arili_alloc)
    endif()
    add_test(NAME "${name}" COMMAND ${target})
    set_tests_properties("${name}" PROPERTIES
        LABELS "${label}" TIMEOUT 600 SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}")
endfunction()

file(GLOB test_sources CONFIGURE_DEPENDS
     "${tests_dir}/*_test.c" "${tests_dir}/unit/*/*_test.c" "${tests_dir}/unit/*/*/*_test.c"
     "${tests_dir}/contract/*_test.c"
     "${tests_dir}/kat/*_test.c" "${tests_dir}/fault/*_test.c" "${tests_dir}/stress/*_test.c"
     "${tests_dir}/model/*_test.c")
foreach(source IN LISTS test_sources)
    aril_add_test("${source}")
endforeach()

# --- test scripts

file(GLOB test_scripts CONFIGURE_DEPENDS
     "${tests_dir}/scripts/*.sh" "${tests_dir}/scripts/*_test.py")
foreach(script IN LISTS test_scripts)
    cmake_path(GET script STEM name)
    string(REGEX REPLACE "_test$" "" name "scripts/${name}")
    if(script MATCHES "\\.py$")
        add_test(NAME "${name}" COMMAND "${ARIL_PYTHON}" "${script}")
    else()
        add_test(NAME "${name}" COMMAND bash "${script}")
    endif()
    set_tests_properties("${name}" PROPERTIES
        LABELS scripts TIMEOUT 900 SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}"
        WORKING_DIRECTORY "${source_dir}")
endforeach()

# --- the generator of tests/data/vectors; tests/scripts/vectors_test.sh runs it

file(GLOB maker_sources CONFIGURE_DEPENDS
     "${tests_dir}/tools/make_vectors.c" "${tests_dir}/tools/maker*.c")
if(maker_sources)
    add_executable(make_vectors ${maker_sources})
    target_link_libraries(make_vectors PRIVATE aril_test_support aril_inside)
    set_target_properties(make_vectors PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/tools")
endif()

# --- what tests/scripts/oracles_test.sh talks to

add_executable(oracle_helper "${tests_dir}/tools/oracle_helper.c")
target_link_libraries(oracle_helper PRIVATE aril_test_support aril_inside)
set_target_properties(oracle_helper PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/tools")

# --- what tests/scripts/format_cache_test.py opens the values of

add_executable(cache_maker "${tests_dir}/tools/cache_maker.c")
target_link_libraries(cache_maker PRIVATE aril_test_support aril_inside)
set_target_properties(cache_maker PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/tools")

# --- the admin listener over a proxy that is none, for tests/scripts/arild_page_test.py

add_executable(fake_admin "${tests_dir}/tools/fake_admin.c")
target_link_libraries(fake_admin PRIVATE arild_admin aril_test_flags aril_inside)
set_target_properties(fake_admin PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/tools")

# --- fuzz targets: the corpus is replayed in every build, fuzzers need clang

file(GLOB fuzz_sources CONFIGURE_DEPENDS "${tests_dir}/fuzz/*_fuzz.c")
foreach(source IN LISTS fuzz_sources)
    cmake_path(GET source STEM target)
    string(REGEX REPLACE "_fuzz$" "" name "${target}")
    add_executable(${name}_replay "${source}" "${tests_dir}/fuzz/replay_main.c")
    target_link_libraries(${name}_replay PRIVATE aril_test_support aril_inside)
    set_target_properties(${name}_replay PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/tests/fuzz")
    file(GLOB corpus CONFIGURE_DEPENDS "${tests_dir}/fuzz/corpus/${name}/*")
    add_test(NAME "fuzz/${name}" COMMAND ${name}_replay ${corpus})
    set_tests_properties("fuzz/${name}" PROPERTIES
        LABELS fuzz TIMEOUT 600 SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}")
    if(ARIL_FUZZERS)
        add_executable(${target} "${source}")
        target_link_libraries(${target} PRIVATE aril_test_support aril_inside)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        set_target_properties(${target} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/fuzz")
    endif()
endforeach()

# --- each public header stands alone, in C99 and in C++17

include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
else()
    message(STATUS "no C++ compiler: the public headers are not checked as C++")
endif()
file(GLOB public_headers CONFIGURE_DEPENDS "${source_dir}/include/aril/*.h")
set(header_checks_c)
set(header_checks_cxx)
foreach(header IN LISTS public_headers)
    cmake_path(GET header FILENAME name)
    cmake_path(GET header STEM stem)
    foreach(kind c cpp)
        file(CONFIGURE OUTPUT "${generated_dir}/headers/${stem}.${kind}" @ONLY
             CONTENT "#include <aril/${name}>\n#include <aril/${name}>\n")
    endforeach()
    list(APPEND header_checks_c "${generated_dir}/headers/${stem}.c")
    list(APPEND header_checks_cxx "${generated_dir}/headers/${stem}.cpp")
endforeach()
if(header_checks_c)
    add_library(aril_headers_c OBJECT ${header_checks_c})
    target_include_directories(aril_headers_c PRIVATE "${source_dir}/include")
    set_target_properties(aril_headers_c PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
    target_compile_options(aril_headers_c PRIVATE -Wall -Wextra -Wpedantic -Werror)
    if(CMAKE_CXX_COMPILER)
        add_library(aril_headers_cxx OBJECT ${header_checks_cxx})
        target_include_directories(aril_headers_cxx PRIVATE "${source_dir}/include")
        set_target_properties(aril_headers_cxx PROPERTIES CXX_STANDARD 17 CXX_EXTENSIONS OFF)
        target_compile_options(aril_headers_cxx PRIVATE -Wall -Wextra -Wpedantic -Werror)
    endif()
endif()
