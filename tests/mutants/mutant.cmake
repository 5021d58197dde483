# SPDX-License-Identifier: BSD-3-Clause
# STELE_MUTANT: build the library with one bug of tests/mutants planted in a copy of its sources; "none" is the copy
# without a bug. Sets STELE_SOURCE_ROOT, the src/ to compile. Not for anything but finding out whether the tests see it
# (tools/dev/mutants, docs/decisions/0028).
set(STELE_MUTANT "" CACHE STRING "Plant the bug of tests/mutants/NAME.patch; empty: build what is there")
set(STELE_SOURCE_ROOT ${PROJECT_SOURCE_DIR}/src)
if(NOT STELE_MUTANT STREQUAL "")
  find_program(PYTHON3 NAMES /usr/bin/python3 python3 REQUIRED)
  set(STELE_SOURCE_ROOT ${PROJECT_BINARY_DIR}/mutant/src)
  execute_process(COMMAND ${PYTHON3} ${CMAKE_CURRENT_LIST_DIR}/plant.py ${STELE_MUTANT} ${PROJECT_BINARY_DIR}/mutant
                  RESULT_VARIABLE refused)
  if(NOT refused EQUAL 0)
    message(FATAL_ERROR "STELE_MUTANT=${STELE_MUTANT}: cannot be planted")
  endif()
  file(GLOB_RECURSE originals CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${originals})
  if(NOT STELE_MUTANT STREQUAL "none")
    set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
                 ${CMAKE_CURRENT_LIST_DIR}/${STELE_MUTANT}.patch)
    message(WARNING "STELE_MUTANT=${STELE_MUTANT}: this library has a bug planted in it")
  endif()
endif()
