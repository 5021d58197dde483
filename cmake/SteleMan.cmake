# SPDX-License-Identifier: BSD-3-Clause
# Man pages, through scdoc: stele(1) from the tables of the built command, all others from
# docs/man/NAME.SECTION.scd. A page that documents several functions names all of them in its NAME section;
# each further name becomes a page that points at it, so that `man stele_appendv` works.
set(man_pages "")
if(NOT STELE_BUILD_MAN)
  return()
endif()
find_program(SCDOC scdoc)
if(NOT SCDOC)
  message(STATUS "scdoc was not found: no man pages")
  return()
endif()

set(man_dir ${PROJECT_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${man_dir})

function(stele_man_page page source)
  set(output ${man_dir}/${page})
  add_custom_command(OUTPUT ${output} COMMAND ${SCDOC} < ${source} > ${output}.new
                     COMMAND ${CMAKE_COMMAND} -E rename ${output}.new ${output}
                     DEPENDS ${source} VERBATIM COMMENT "Man page ${page}")
  set(man_pages ${man_pages} ${output} PARENT_SCOPE)
endfunction()

if(STELE_RUN_TOOL)
  set(source ${man_dir}/stele.1.scd)
  add_custom_command(OUTPUT ${source} COMMAND stele --man > ${source}.new
                     COMMAND ${CMAKE_COMMAND} -E rename ${source}.new ${source}
                     DEPENDS stele VERBATIM COMMENT "Source of stele(1)")
  stele_man_page(stele.1 ${source})
endif()

file(GLOB man_sources CONFIGURE_DEPENDS docs/man/*.scd)
foreach(source IN LISTS man_sources)
  get_filename_component(page ${source} NAME_WLE)
  stele_man_page(${page} ${source})

  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  string(REGEX MATCH "[0-9]$" section ${page})
  file(READ ${source} text)
  if(text MATCHES "# NAME\n+([^#]*) - ")
    string(REGEX REPLACE "[\\, \n]+" ";" names "${CMAKE_MATCH_1}")
    foreach(name IN LISTS names)
      set(alias ${man_dir}/${name}.${section})
      if(NOT alias STREQUAL ${man_dir}/${page})
        file(CONFIGURE OUTPUT ${alias} CONTENT ".so man${section}/${page}\n")
        list(APPEND man_pages ${alias})
      endif()
    endforeach()
  endif()
endforeach()
add_custom_target(man ALL DEPENDS ${man_pages})
