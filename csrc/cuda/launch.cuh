// How kernels are launched: the device, the errors, the group of lanes that fits, and what comes before any.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "cuda/workspace.hpp"
#include "lanes/cuda.cuh"
#include "operations.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

inline void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(error));
}

// Makes a device current for as long as it lives.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    check(cudaGetDevice(&before_));
    if (before_ != device) check(cudaSetDevice(device));
    changed_ = before_ != device;
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  ~DeviceGuard() {
    if (changed_) static_cast<void>(cudaSetDevice(before_));
  }

 private:
  int before_ = 0;
  bool changed_ = false;
};

// Calls run(Lanes, OneBlock) for the group that fits the number of tags. Of more than 32 tags a lane owns
// several.
template <class Work, class Run>
void with_lanes(std::ptrdiff_t tags, const Run& run) {
  if (tags <= 8) {
    run(CudaLanes<Work, 8>{}, std::true_type{});
  } else if (tags <= 16) {
    run(CudaLanes<Work, 16>{}, std::true_type{});
  } else if (tags <= 32) {
    run(CudaLanes<Work, 32>{}, std::true_type{});
  } else if (tags <= cuda::most_tags) {
    run(CudaLanes<Work, 128>{}, std::false_type{});
  } else {
    throw std::runtime_error("the CUDA kernels take up to " + std::to_string(cuda::most_tags) +
                             " tags, got " + std::to_string(tags) + ": use CRF(..., backend='reference')");
  }
}

// Launches a kernel and checks that it was.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), std::ptrdiff_t blocks, int threads, std::size_t shared,
            const cuda::Stream& stream, const Arguments&... arguments) {
  if (blocks == 0) return;
  kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared,
           static_cast<cudaStream_t>(stream.handle)>>>(arguments...);
  check(cudaGetLastError());
}

// How many workers share the rows: one for each row, or fewer if their parts of the workspace would be too
// large; worker w takes the rows w, w + workers, w + 2 workers and so on. The number depends on the problem
// alone, so the bits do too.
inline std::ptrdiff_t workers_for(std::ptrdiff_t rows, std::ptrdiff_t bytes_of_one) {
  constexpr std::ptrdiff_t most_bytes = std::ptrdiff_t{1} << 29;
  constexpr std::ptrdiff_t least = 16;
  std::ptrdiff_t workers = most_bytes / (bytes_of_one > 0 ? bytes_of_one : 1);
  if (workers < least) workers = least;
  return workers < rows ? workers : rows;
}

// The unmasked positions of a row, by a warp; stops at a tag out of range.
template <class Real>
__global__ void find_chains(Chains<Real> chains, Paths paths, ChainPositions found) {
  const std::ptrdiff_t row = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  std::ptrdiff_t* const own = found.positions + row * (chains.time + 1);
  std::ptrdiff_t length = 0;
  for (std::ptrdiff_t first = 0; first < chains.time; first += 32) {
    const std::ptrdiff_t t = first + lane;
    const bool on = t < chains.time && chains.mask(row, t) != 0;
    if (on && paths.data != nullptr) {
      const std::int64_t tag = paths(row, t);
      const bool is_a_tag = tag >= 0 && tag < chains.tags;
      if (!is_a_tag) {
        printf("CRF: tags[%lld, %lld] is %lld, but must be in 0 .. %lld\n", static_cast<long long>(row),
               static_cast<long long>(t), static_cast<long long>(tag),
               static_cast<long long>(chains.tags - 1));
        __trap();
      }
    }
    const unsigned all = __ballot_sync(0xffffffffU, on);
    if (on) own[length + __popc(all & ((1U << lane) - 1U))] = t;
    length += __popc(all);
  }
  if (lane == 0) found.lengths[row] = length;
}

// The positions of all rows; the kernel that finds them is enqueued if there is memory.
template <class Real>
ChainPositions enqueue_positions(const Chains<Real>& chains, const Paths& paths, const cuda::Stream& stream,
                                 cuda::Workspace& memory) {
  const ChainPositions found{memory.take<std::ptrdiff_t>(chains.batch * (chains.time + 1)),
                             memory.take<std::ptrdiff_t>(chains.batch)};
  if (stream.workspace != nullptr)
    launch(find_chains<Real>, chains.batch, 32, 0, stream, chains, paths, found);
  return found;
}

template <class Lanes, class Real>
__global__ void measure_kernel(Chains<Real> chains, Weights<Lanes> weights, Weights<Lanes>* out) {
  measure_parameters(chains, weights);
  if (threadIdx.x == 0) *out = weights;
}

constexpr std::ptrdiff_t rows_a_block = 8;  // of a table

template <class Lanes, class Real>
__global__ void fill_weights_kernel(Chains<Real> chains, const Weights<Lanes>* weights) {
  const std::ptrdiff_t first = blockIdx.x * rows_a_block;
  const std::ptrdiff_t stop = first + rows_a_block;
  fill_weights(chains, *weights, first, stop < weights->shape.rows ? stop : weights->shape.rows);
}

template <class Lanes, class Real>
__global__ void fill_scores_kernel(Chains<Real> chains, Scores<Lanes> scores, Scores<Lanes>* out) {
  const std::ptrdiff_t first = blockIdx.x * rows_a_block;
  const std::ptrdiff_t stop = first + rows_a_block;
  copy_parameters(chains, first, stop < scores.shape.rows ? stop : scores.shape.rows, scores);
  if (blockIdx.x == 0 && threadIdx.x == 0) *out = scores;
}

template <class Parameters, class Lanes>
Parameters take_parameters(const Shape<Lanes>& shape, cuda::Workspace& memory) {
  return parameters_at<Parameters>(shape, memory.take<typename Lanes::Work>(parameter_size(shape)));
}

template <class Lanes>
std::ptrdiff_t table_blocks(const Shape<Lanes>& shape) {
  return (shape.rows + rows_a_block - 1) / rows_a_block;
}

// Weights of a call, on the device; the kernels that make them are enqueued if there is memory.
template <class Lanes, class Real>
const Weights<Lanes>* enqueue_weights(const Chains<Real>& chains, const cuda::Stream& stream,
                                      cuda::Workspace& memory) {
  const Shape<Lanes> shape(chains.tags);
  const auto weights = take_parameters<Weights<Lanes>>(shape, memory);
  auto* const out = memory.take<Weights<Lanes>>(1);
  if (stream.workspace == nullptr) return nullptr;
  const int width = static_cast<int>(Lanes::width);
  launch(measure_kernel<Lanes, Real>, 1, width, 0, stream, chains, weights, out);
  const Weights<Lanes>* made = out;
  launch(fill_weights_kernel<Lanes, Real>, table_blocks(shape), width, 0, stream, chains, made);
  return made;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
