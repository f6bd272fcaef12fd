# crf_cuda: the CUDA kernels, if they are wanted and there is an nvcc. CUDA's runtime is linked in statically, so the
# extension loads where there is no GPU and no driver. Sets PYBERT_CRF_CUDA_BUILD, a sentence that says what was
# compiled or why nothing was.
string(TOUPPER "${PYBERT_CRF_CUDA}" PYBERT_CRF_CUDA)
if(PYBERT_CRF_CUDA STREQUAL "OFF" OR NOT PYBERT_CRF_MODULE)
  set(PYBERT_CRF_CUDA_BUILD "PYBERT_CRF_CUDA=OFF")
  return()
endif()

include(cmake/find_nvcc.cmake)
if(NOT CMAKE_CUDA_COMPILER)
  if(PYBERT_CRF_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PYBERT_CRF_CUDA=ON, but no nvcc was found: `pip install nvidia-cuda-nvcc` brings one")
  endif()
  set(PYBERT_CRF_CUDA_BUILD "no nvcc was found")
  return()
endif()

find_gpu_architectures(own_architectures)
if(PYBERT_CRF_CUDA STREQUAL "AUTO" AND NOT own_architectures)
  set(PYBERT_CRF_CUDA_BUILD
      "an nvcc was found, but no GPU that it compiles for: PYBERT_CRF_CUDA=ON compiles for other machines")
  return()
endif()

if(PYBERT_CRF_CUDA_ARCHITECTURES STREQUAL "all" OR NOT (PYBERT_CRF_CUDA_ARCHITECTURES OR own_architectures))
  # Machine code of one architecture serves the later ones of its generation (that of 8.0 runs on 8.6 and 8.9); PTX of
  # the newest, which drivers compile, serves those to come.
  set(PYBERT_CRF_CUDA_ARCHITECTURES "")
  foreach(each 75 80 90 100 120)
    if(each IN_LIST PYBERT_CRF_KNOWN_ARCHITECTURES)
      list(APPEND PYBERT_CRF_CUDA_ARCHITECTURES ${each}-real)
      set(newest ${each})
    endif()
  endforeach()
  list(APPEND PYBERT_CRF_CUDA_ARCHITECTURES ${newest}-virtual)
elseif(NOT PYBERT_CRF_CUDA_ARCHITECTURES)
  set(PYBERT_CRF_CUDA_ARCHITECTURES ${own_architectures})
endif()
set(CMAKE_CUDA_ARCHITECTURES ${PYBERT_CRF_CUDA_ARCHITECTURES})
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
enable_language(CUDA)
string(REPLACE ";" ", " PYBERT_CRF_CUDA_BUILD "${PYBERT_CRF_CUDA_ARCHITECTURES}")
set(PYBERT_CRF_CUDA_BUILD "compiled by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${PYBERT_CRF_CUDA_BUILD}")

set(options --expt-relaxed-constexpr)
if(PYBERT_CRF_WERROR)
  # The resources of each kernel go into the build's log (tests/cpp/cuda_resources.py reads them from there).
  list(APPEND options --Werror=all-warnings --resource-usage -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas)
endif()

add_library(crf_cuda STATIC csrc/cuda/devices.cu)
foreach(real float double)
  # The same sources, once for each type of numbers.
  add_library(crf_cuda_${real} OBJECT csrc/cuda/values.cu csrc/cuda/paths.cu)
  target_include_directories(crf_cuda_${real} PRIVATE csrc)
  target_compile_definitions(crf_cuda_${real} PRIVATE PYBERT_CRF_TARGET=gpu_${real} PYBERT_CRF_REAL=${real})
  target_compile_options(crf_cuda_${real} PRIVATE ${options})
  target_sources(crf_cuda PRIVATE $<TARGET_OBJECTS:crf_cuda_${real}>)
endforeach()
target_include_directories(crf_cuda PUBLIC csrc)
target_compile_options(crf_cuda PRIVATE ${options})
