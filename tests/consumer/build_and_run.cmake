# Installs the build in BUILD into a folder of its own, builds this project against it, and runs its programs.
set(prefix ${BUILD}/consumer/installed)
set(project ${BUILD}/consumer/build)

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "exit code ${code}: ${ARGN}")
  endif()
endfunction()

file(REMOVE_RECURSE ${BUILD}/consumer)
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
set(launcher)
if(CCACHE)  # where there is none, what was not found is false
  set(launcher -DCMAKE_CXX_COMPILER_LAUNCHER=${CCACHE})
endif()
run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${project} -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=${CXX}
    ${launcher} -DCMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${project})
run(${prefix}/bin/mugato --help)
foreach(program own_model own_data own_world)
  run(${project}/${program} ${prefix}/share/mugato/tokenizers/quickstart.model ${BUILD}/consumer/runs/${program})
endforeach()
