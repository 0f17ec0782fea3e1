# Defines mugato_torch, LibTorch as a C++ SDK, from the first of:
#   MUGATO_TORCH_SITE         a folder of unpacked wheels that holds torch/ and nvidia/
#   -DCMAKE_PREFIX_PATH=...   your own LibTorch (its TorchConfig.cmake); -DTorch_DIR=... does too
#   .deps/cuda, .deps/cpu     what tools/setup installed
# Sets MUGATO_TORCH_CUDA: whether it is a LibTorch with CUDA, and MUGATO_TORCH_NCCL: whether NCCL can be called by name.
# The file is also installed, so that find_package(mugato) finds the same LibTorch again.
if(TARGET mugato_torch)
  return()
endif()

if(NOT MUGATO_TORCH_SITE)
  if(CMAKE_PREFIX_PATH OR Torch_DIR)
    if(NOT CMAKE_CUDA_STANDARD)
      set(CMAKE_CUDA_STANDARD 17)  # a LibTorch with CUDA tries nvcc out, for which older versions of CMake know no later one
    endif()
    find_package(Torch QUIET)
  endif()
  foreach(flavor cuda cpu)
    if(NOT Torch_FOUND AND NOT MUGATO_TORCH_SITE AND EXISTS ${CMAKE_SOURCE_DIR}/.deps/${flavor}/.complete)
      set(MUGATO_TORCH_SITE ${CMAKE_SOURCE_DIR}/.deps/${flavor} CACHE PATH "folder with torch/ and nvidia/ of unpacked wheels")
    endif()
  endforeach()
  if(MUGATO_TORCH_SITE AND (CMAKE_PREFIX_PATH OR Torch_DIR))
    message(WARNING "There is no LibTorch in CMAKE_PREFIX_PATH (${CMAKE_PREFIX_PATH}): taking ${MUGATO_TORCH_SITE}")
  endif()
  if(NOT Torch_FOUND AND NOT MUGATO_TORCH_SITE)
    message(FATAL_ERROR "There is no LibTorch\nhint: run tools/setup, or give your own with -DCMAKE_PREFIX_PATH=<folder of LibTorch>")
  endif()
endif()

add_library(mugato_torch INTERFACE)
# libtorch exports its own std::filesystem functions; libstdc++ has to come first on the link line, or they replace it.
target_link_options(mugato_torch INTERFACE "LINKER:--push-state,--no-as-needed" -lstdc++ "LINKER:--pop-state")

# With it at::parallel_for runs on LibTorch's threads; without, it is a plain loop. So it is with Clang, whose OpenMP would come
# beside LibTorch's as a second pool of threads.
target_compile_options(mugato_torch INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fopenmp>)

function(mugato_torch_from_wheels)
  get_filename_component(site ${MUGATO_TORCH_SITE} ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  if(NOT EXISTS ${site}/torch/lib/libtorch_cpu.so)
    message(FATAL_ERROR "MUGATO_TORCH_SITE=${site} holds no torch/lib/libtorch_cpu.so\nhint: run tools/setup")
  endif()
  # -idirafter: torch/include carries fmt, protobuf and others; the system's own must win.
  foreach(dir torch/include torch/include/torch/csrc/api/include nvidia/cu13/include nvidia/nccl/include)
    if(EXISTS ${site}/${dir})
      target_compile_options(mugato_torch INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-idirafter ${site}/${dir}>")
    endif()
  endforeach()
  foreach(lib cu13 cudnn nccl cusparselt nvshmem)
    if(EXISTS ${site}/nvidia/${lib}/lib)
      target_link_options(mugato_torch INTERFACE "LINKER:-rpath-link,${site}/nvidia/${lib}/lib")
    endif()
  endforeach()
  # The libraries stay where the wheels are, and programs find them by rpath.
  target_link_options(mugato_torch INTERFACE "LINKER:-rpath,${site}/torch/lib" "LINKER:-rpath,${site}/nvidia/cu13/lib")
  set(cuda OFF)
  set(nccl OFF)
  if(EXISTS ${site}/nvidia/nccl/include)
    set(cuda ON)
    # No symbol of libtorch_cuda is referenced; its static initialisers register the CUDA operators.
    target_link_libraries(mugato_torch INTERFACE "-Wl,--push-state,--no-as-needed" ${site}/torch/lib/libtorch_cuda.so
                          ${site}/torch/lib/libc10_cuda.so "-Wl,--pop-state" ${site}/nvidia/cu13/lib/libcudart.so.13)
    if(EXISTS ${site}/nvidia/nccl/lib/libnccl.so.2)
      set(nccl ON)
      target_link_libraries(mugato_torch INTERFACE ${site}/nvidia/nccl/lib/libnccl.so.2)
      target_link_options(mugato_torch INTERFACE "LINKER:-rpath,${site}/nvidia/nccl/lib")
    endif()
  endif()
  file(GLOB gomp ${site}/torch/lib/libgomp*.so*)
  target_link_libraries(mugato_torch INTERFACE ${site}/torch/lib/libtorch_cpu.so ${site}/torch/lib/libc10.so ${gomp} pthread)
  set(MUGATO_TORCH_CUDA ${cuda} PARENT_SCOPE)
  set(MUGATO_TORCH_NCCL ${nccl} PARENT_SCOPE)
endfunction()

if(MUGATO_TORCH_SITE)
  mugato_torch_from_wheels()
else()
  target_link_libraries(mugato_torch INTERFACE ${TORCH_LIBRARIES})
  target_link_options(mugato_torch INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fopenmp>)
  target_compile_options(mugato_torch INTERFACE ${TORCH_CXX_FLAGS})
  if(TARGET torch_cuda)
    set(MUGATO_TORCH_CUDA ON)
  else()
    set(MUGATO_TORCH_CUDA OFF)
  endif()
endif()
