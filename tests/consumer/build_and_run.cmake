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

# Two processes, as torchrun would start them; what the last of a pipe prints is what is read.
string(RANDOM LENGTH 4 ALPHABET 123456789 port)
set(ranks)
foreach(rank 1 0)
  list(APPEND ranks COMMAND ${CMAKE_COMMAND} -E env RANK=${rank} WORLD_SIZE=2 LOCAL_RANK=${rank} MASTER_ADDR=127.0.0.1 MASTER_PORT=2${port}
       ${project}/own_ranks)
endforeach()
execute_process(${ranks} RESULTS_VARIABLE codes OUTPUT_VARIABLE output TIMEOUT 120)
message("own_ranks: exit codes ${codes}, ${output}")
if(NOT codes STREQUAL "0;0" OR NOT output MATCHES "^loss ([0-9.]+)" OR NOT CMAKE_MATCH_1 LESS 0.2)
  message(FATAL_ERROR "own_ranks did not learn on two processes")
endif()
