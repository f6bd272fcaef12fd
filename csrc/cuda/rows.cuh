// Values and gradients of a batch on a GPU: the kernel of the steps of cuda/rows.hpp, and its launch.
#pragma once

#include <cstddef>

#include "cuda/launch.cuh"
#include "cuda/rows.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// What a worker's part of the workspace is, and how much of it lies in a block's own memory instead.
template <class Lanes, class Real>
struct Workers {
  std::ptrdiff_t number;
  typename Lanes::Element* elements;  // null: in the block's own memory
  double* alphas;
  Real* messages;  // null: the caller's, a row's own
  double* counts;
};

template <class Lanes>
struct Grid {
  static constexpr int groups = Lanes::width < 16 ? 4 : 2;  // of a block: two for each of its rows
  static constexpr int rows = groups / 2;
  static constexpr int threads = groups * static_cast<int>(Lanes::width);
};

// `take` is what is to be done: values, gradients, or both.
struct Take {
  bool values;
  bool gradients;
};

template <class Lanes, bool OneBlock, class Real>
__global__ void __launch_bounds__(Grid<Lanes>::threads, 1)
    rows_kernel(Call<Lanes, Real> call, ChainPositions found, Workers<Lanes, Real> workers, Real* messages,
                Take take) {
  using Element = typename Lanes::Element;
  extern __shared__ double own_memory[];
  __shared__ RowState<Lanes> states[Grid<Lanes>::rows];
  const int group = static_cast<int>(threadIdx.x) / static_cast<int>(Lanes::width);
  const int slot = group / 2;
  const Side side = group % 2 == 0 ? left : right;
  const Shape<Lanes>& shape = call.weights->shape;
  const std::ptrdiff_t worker = static_cast<std::ptrdiff_t>(blockIdx.x) * Grid<Lanes>::rows + slot;
  const std::ptrdiff_t elements = BlockScratch<Lanes, Real>::size(shape);
  const std::ptrdiff_t message_size = call.chains.time * call.chains.tags;
  const bool works = worker < workers.number;
  RowState<Lanes>& state = states[slot];
  BlockScratch<Lanes, Real> scratch{workers.elements == nullptr
                                        ? reinterpret_cast<Element*>(own_memory) + slot * elements
                                        : workers.elements + worker * elements,
                                    workers.alphas + worker * message_size, nullptr};
  const Counts counts = Counts::at(shape, workers.counts + worker * Counts::size(shape));
  if (works && take.gradients && side == left) clear_counts<Lanes>(shape, counts);
  const std::ptrdiff_t rounds = (call.chains.batch + workers.number - 1) / workers.number;
  for (std::ptrdiff_t round = 0; round < rounds; ++round) {
    const std::ptrdiff_t index = round * workers.number + worker;
    const bool busy = works && index < call.chains.batch;
    const auto row = [&] { return found.row(call.chains, index); };
    scratch.messages =
        messages != nullptr ? messages + index * message_size : workers.messages + worker * message_size;
    if (take.values) {
      if (busy) sweep_side<Lanes, OneBlock>(call, row(), side, scratch, state);
      __syncthreads();
      if (busy && side == left) take_value<Lanes, OneBlock>(call, row(), scratch, state);
    } else if (busy && side == left) {
      recall_value(call, row(), scratch, state);
    }
    __syncthreads();
    if (!take.gradients) continue;
    if (busy) differentiate_side<Lanes, OneBlock>(call, row(), side, scratch, state);
    __syncthreads();
    if (busy && side == left) count_row(call, row(), scratch, state, counts);
    __syncthreads();
  }
}

template <class Lanes, class Real>
__global__ void reduce_kernel(const Weights<Lanes>* weights, const double* counts, std::ptrdiff_t workers,
                              Gradient<Real> out) {
  const std::ptrdiff_t tags = weights->shape.tags;
  const std::ptrdiff_t at = static_cast<std::ptrdiff_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= tags * tags) return;
  const std::ptrdiff_t size = Counts::size(weights->shape);
  const auto sum = [&](std::ptrdiff_t number) {
    double total = 0;
    for (std::ptrdiff_t worker = 0; worker < workers; ++worker) total += counts[worker * size + number];
    return total;
  };
  store_gradient(*weights, at / tags, at % tags, sum, out);
}

// Enqueues it all. `messages` is the caller's memory for them, or null if they are not wanted.
template <class Lanes, bool OneBlock, class Real>
std::ptrdiff_t enqueue_rows(Call<Lanes, Real> call, Real* messages, Take take, const cuda::Stream& stream) {
  constexpr std::size_t most_shared = 48 * 1024;
  const Chains<Real>& chains = call.chains;
  cuda::Workspace memory(stream.workspace);
  const ChainPositions found = enqueue_positions(chains, call.paths, stream, memory);
  call.weights = enqueue_weights<Lanes>(chains, stream, memory);

  const Shape<Lanes> shape(chains.tags);
  const std::ptrdiff_t elements = BlockScratch<Lanes, Real>::size(shape);
  const std::ptrdiff_t message_size = chains.time * chains.tags;
  const auto bytes = [](std::ptrdiff_t count, std::size_t size) {
    return count * static_cast<std::ptrdiff_t>(size);
  };
  const std::size_t shared = static_cast<std::size_t>(bytes(Grid<Lanes>::rows * elements, sizeof(double)));
  const bool fits = shared <= most_shared;
  const std::ptrdiff_t of_one =
      bytes(message_size + Counts::size(shape) + (fits ? 0 : elements), sizeof(double)) +
      (messages == nullptr ? bytes(message_size, sizeof(Real)) : 0);
  Workers<Lanes, Real> workers{workers_for(chains.batch, of_one), nullptr, nullptr, nullptr, nullptr};
  if (!fits) workers.elements = memory.take<typename Lanes::Element>(workers.number * elements);
  workers.alphas = memory.take<double>(workers.number * message_size);
  if (messages == nullptr) workers.messages = memory.take<Real>(workers.number * message_size);
  workers.counts = memory.take<double>(workers.number * Counts::size(shape));
  if (stream.workspace == nullptr) return memory.used();

  const std::ptrdiff_t blocks = (workers.number + Grid<Lanes>::rows - 1) / Grid<Lanes>::rows;
  launch(rows_kernel<Lanes, OneBlock, Real>, blocks, Grid<Lanes>::threads, fits ? shared : 0, stream, call,
         found, workers, messages, take);
  if (!take.gradients) return 0;
  constexpr int threads = 128;
  const double* const counts = workers.counts;
  launch(reduce_kernel<Lanes, Real>, (chains.tags * chains.tags + threads - 1) / threads, threads, 0, stream,
         call.weights, counts, workers.number, call.out);
  return 0;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
