// Which GPUs there are. Where there is no driver, CUDA's own runtime, which is linked in, says so.
#include <cuda_runtime.h>

#include "cuda/operations.hpp"

namespace pybert_crf::cuda {

int device_count(const char** why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  *why = cudaGetErrorString(error);
  static_cast<void>(cudaGetLastError());  // or the next call would be told of it
  return error == cudaSuccess ? count : 0;
}

}  // namespace pybert_crf::cuda
