# SPDX-License-Identifier: BSD-3-Clause
# Shell completions, from the tables of the built command, into the directories where the shells look.
if(NOT STELE_RUN_TOOL)
  return()
endif()
set(zsh_dir zsh/site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_dir zsh/vendor-completions) # site-functions of /usr belongs to the administrator there
endif()

function(stele_completion shell dir file)
  set(output ${PROJECT_BINARY_DIR}/completions/${shell}/${file})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/completions/${shell})
  add_custom_command(OUTPUT ${output} COMMAND stele --completion ${shell} > ${output}.new
                     COMMAND ${CMAKE_COMMAND} -E rename ${output}.new ${output}
                     DEPENDS stele VERBATIM COMMENT "Completion for ${shell}")
  add_custom_target(completion_${shell} ALL DEPENDS ${output})
  install(FILES ${output} DESTINATION ${CMAKE_INSTALL_DATADIR}/${dir} COMPONENT tools)
endfunction()

stele_completion(bash bash-completion/completions stele)
stele_completion(zsh ${zsh_dir} _stele)
stele_completion(fish fish/vendor_completions.d stele.fish)
