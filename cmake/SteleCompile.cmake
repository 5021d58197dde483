# SPDX-License-Identifier: BSD-3-Clause
# stele_compile(target): language, warnings and instrumentation of everything built here.
# stele_link(target): the link half of the instrumentation, for libraries made of other targets' objects.
include_guard(GLOBAL)

set(STELE_INSTRUMENTED OFF)
set(STELE_TEST_LAUNCHER "")
if(STELE_SANITIZE)
  set(STELE_INSTRUMENTED ON)
endif()
if(STELE_COVERAGE)
  set(STELE_INSTRUMENTED ON)
endif()

# ThreadSanitizer's shadow map collides with the address-space randomisation of recent kernels; programs under
# it run with randomisation off where the system lets a process ask for that (some containers do not).
if(STELE_SANITIZE MATCHES "thread")
  execute_process(COMMAND setarch -R true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
  if(refused EQUAL 0)
    set(STELE_TEST_LAUNCHER setarch -R)
  endif()
endif()

function(stele_link target)
  if(STELE_SANITIZE)
    target_link_options(${target} PRIVATE -fsanitize=${STELE_SANITIZE})
  endif()
  if(STELE_COVERAGE)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()

function(stele_compile target)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
                        CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
                        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE -g -Wall -Wextra -Wpedantic -Wconversion
                         $<$<BOOL:${STELE_WERROR}>:-Werror>)
  if(STELE_SANITIZE)
    # Every report ends the program: a test that prints one must not pass.
    target_compile_options(${target} PRIVATE -fsanitize=${STELE_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
  endif()
  if(STELE_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
  endif()
  stele_link(${target})
endfunction()
