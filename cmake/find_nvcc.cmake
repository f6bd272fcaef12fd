# Finds an nvcc and what it can compile for. Sets CMAKE_CUDA_COMPILER (false if there is none) and
# PYBERT_CRF_KNOWN_ARCHITECTURES, such as 75;80;90.
#
# First CUDACXX and PATH, then what pip installs: nvidia-cuda-nvcc puts a whole compiler under
# site-packages/nvidia/cu13. pip's isolated builds run the interpreter of the environment that they install into, so
# Python's site-packages are those of that environment.
set(from_pip "")
if(Python_EXECUTABLE)
  execute_process(COMMAND ${Python_EXECUTABLE} -c "import sysconfig; print(sysconfig.get_path('purelib'))"
                  OUTPUT_VARIABLE site_packages OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(GLOB from_pip "${site_packages}/nvidia/cu*/bin")
  list(SORT from_pip COMPARE NATURAL ORDER DESCENDING)
endif()
find_program(CMAKE_CUDA_COMPILER NAMES $ENV{CUDACXX} nvcc PATHS ${from_pip} /usr/local/cuda/bin)

set(PYBERT_CRF_KNOWN_ARCHITECTURES "")
if(CMAKE_CUDA_COMPILER)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE known)
  string(REGEX MATCHALL "compute_[0-9]+" known "${known}")
  string(REPLACE "compute_" "" PYBERT_CRF_KNOWN_ARCHITECTURES "${known}")
endif()

# The architectures of this machine's GPUs, such as 90-real; empty where there is no GPU, or one that is too new for
# this nvcc.
function(find_gpu_architectures result)
  set(architectures "")
  find_program(PYBERT_CRF_NVIDIA_SMI nvidia-smi)
  if(PYBERT_CRF_NVIDIA_SMI)
    execute_process(COMMAND ${PYBERT_CRF_NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
                    OUTPUT_VARIABLE capabilities ERROR_QUIET)
    string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
    foreach(capability ${capabilities})
      string(REPLACE "." "" architecture ${capability})
      if(architecture IN_LIST PYBERT_CRF_KNOWN_ARCHITECTURES)
        list(APPEND architectures ${architecture}-real)
      endif()
    endforeach()
    list(REMOVE_DUPLICATES architectures)
  endif()
  set(${result} "${architectures}" PARENT_SCOPE)
endfunction()
