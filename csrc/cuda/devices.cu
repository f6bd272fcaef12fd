// The tables of operations of the GPUs, and which there are.
#include <cuda_runtime.h>

#include "cuda/declarations.hpp"

namespace pybert_crf::cuda {

template <>
const Operations<float, Stream>& operations() {
  return gpu_float::operations;
}

template <>
const Operations<double, Stream>& operations() {
  return gpu_double::operations;
}

// CUDA's runtime is linked in, and is the one that says that there is no driver.
int device_count(const char** why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  *why = cudaGetErrorString(error);
  static_cast<void>(cudaGetLastError());  // or the next call would return it
  return error == cudaSuccess ? count : 0;
}

}  // namespace pybert_crf::cuda
