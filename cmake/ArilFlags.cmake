# SPDX-License-Identifier: Apache-2.0
# Compiler and linker flags: the target aril_flags carries what all our code gets.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, RelWithDebInfo or Release" FORCE)
endif()
# NDEBUG is never defined: assertions guard our own invariants in every build.
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELEASE "-O3 -g")

# Programs are position independent as well.
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

add_library(aril_flags INTERFACE)
target_compile_definitions(aril_flags INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
target_compile_options(aril_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wformat=2 -Wundef -fstack-protector-strong)
if(ARIL_WERROR)
    target_compile_options(aril_flags INTERFACE -Werror)
endif()

if(ARIL_SANITIZE)
    target_compile_options(aril_flags INTERFACE
        -fsanitize=${ARIL_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(aril_flags INTERFACE -fsanitize=${ARIL_SANITIZE})
    if(ARIL_SANITIZE MATCHES "undefined")
        target_compile_options(aril_flags INTERFACE -fno-sanitize-recover=all)
    endif()
else()
    # Sanitizers have their own, better checks of the same calls.
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
        target_compile_options(aril_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
    target_link_options(aril_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
if(ARIL_FUZZERS)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "ARIL_FUZZERS needs clang")
    endif()
    target_compile_options(aril_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
