// Best paths, samples and alphas on a GPU; compiled once for each type of numbers (PYBERT_CRF_REAL).
#include "chain/k_best.hpp"
#include "chain/log_semiring.hpp"
#include "chain/sample.hpp"
#include "chain/viterbi.hpp"
#include "cuda/declarations.hpp"
#include "cuda/launch.cuh"

namespace pybert_crf::PYBERT_CRF_TARGET {

namespace {

using Real = PYBERT_CRF_REAL;
using WarpLanes = CudaLanes<double, 32>;  // of the operations that have one kernel for any number of tags

// Rows of a block, each with one group of lanes.
template <class Lanes>
struct Groups {
  static constexpr int rows = Lanes::width < 32 ? 32 / static_cast<int>(Lanes::width) : 1;
  static constexpr int threads = rows * static_cast<int>(Lanes::width);

  static __device__ std::ptrdiff_t worker() {
    return static_cast<std::ptrdiff_t>(blockIdx.x) * rows + threadIdx.x / static_cast<int>(Lanes::width);
  }
  static std::ptrdiff_t blocks(std::ptrdiff_t workers) { return (workers + rows - 1) / rows; }
};

template <class Lanes, bool OneBlock>
__global__ void __launch_bounds__(Groups<Lanes>::threads)
    viterbi_kernel(Chains<Real> chains, ChainPositions found, const Scores<Lanes>* scores,
                   BestPaths<Real> out, Real* memory, std::ptrdiff_t workers) {
  const std::ptrdiff_t worker = Groups<Lanes>::worker();
  using Path = BestPath<Lanes, OneBlock, Real>;
  Real* const own = memory + worker * Path::memory_size(chains, scores->shape);
  const TableInMemory<Lanes> table{scores->shape, scores->table[left]};
  for (std::ptrdiff_t index = worker; worker < workers && index < chains.batch; index += workers) {
    Path path(chains, *scores, found.row(chains, index), out, own);
    path.find_rest(table, 0, 0);
    path.finish();
    Lanes::sync();
  }
}

// (At least one block a multiprocessor: with more, 64 registers would not suffice.)
__global__ void __launch_bounds__(32, 1)
    k_best_kernel(Chains<Real> chains, ChainPositions found, BestPaths<Real> out, double* lists,
                  Origin* origins, std::ptrdiff_t workers) {
  const std::ptrdiff_t list_size = chains.tags * out.count;
  double* const own = lists + blockIdx.x * 2 * list_size;
  Origin* const own_origins = origins + blockIdx.x * chains.time * list_size;
  for (std::ptrdiff_t index = blockIdx.x; index < chains.batch; index += workers) {
    k_best_of_row<WarpLanes>(chains, found.row(chains, index), out, {own, own + list_size, own_origins});
    WarpLanes::sync();
  }
}

__global__ void __launch_bounds__(32)
    alphas_kernel(Chains<Real> chains, ChainPositions found, const Weights<WarpLanes>* weights, double* logs,
                  Real* alphas, std::ptrdiff_t workers) {
  const auto scratch = LogScratch<WarpLanes>::at(
      weights->shape.padded, logs + blockIdx.x * LogScratch<WarpLanes>::parts * weights->shape.padded);
  for (std::ptrdiff_t index = blockIdx.x; index < chains.batch; index += workers) {
    log_alphas_of_row(*weights, chains, found.row(chains, index), scratch,
                      alphas + index * chains.time * chains.tags);
    WarpLanes::sync();
  }
}

__global__ void __launch_bounds__(32)
    sample_kernel(Chains<Real> chains, ChainPositions found, const Weights<WarpLanes>* weights, double* logs,
                  double* alphas, Samples out, std::ptrdiff_t workers) {
  const auto scratch = LogScratch<WarpLanes>::at(
      weights->shape.padded, logs + blockIdx.x * LogScratch<WarpLanes>::parts * weights->shape.padded);
  double* const own = alphas + blockIdx.x * chains.time * chains.tags;
  for (std::ptrdiff_t index = blockIdx.x; index < chains.batch; index += workers) {
    samples_of_row(*weights, chains, found.row(chains, index), out, own, scratch);
    WarpLanes::sync();
  }
}

constexpr Paths no_paths{nullptr, {0, 0}};

void check_tags(const Chains<Real>& chains) {
  with_lanes<double>(chains.tags, [](auto, auto) {});
}

std::ptrdiff_t bytes(std::ptrdiff_t count, std::size_t size) {
  return count * static_cast<std::ptrdiff_t>(size);
}

}  // namespace

std::ptrdiff_t viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, const cuda::Stream& stream) {
  const DeviceGuard guard(stream.device);
  cuda::Workspace memory(stream.workspace);
  with_lanes<Real>(chains.tags, [&](auto lanes, auto one_block) {
    using Lanes = decltype(lanes);
    const Shape<Lanes> shape(chains.tags);
    const ChainPositions found = enqueue_positions(chains, no_paths, stream, memory);
    const auto scores = take_parameters<Scores<Lanes>>(shape, memory);
    auto* const filled = memory.take<Scores<Lanes>>(1);
    const std::ptrdiff_t of_one =
        BestPath<Lanes, decltype(one_block)::value, Real>::memory_size(chains, shape);
    const std::ptrdiff_t workers = workers_for(chains.batch, bytes(of_one, sizeof(Real)));
    auto* const vectors = memory.template take<Real>(workers * of_one);
    if (stream.workspace == nullptr) return;
    launch(fill_scores_kernel<Lanes, Real>, table_blocks(shape), static_cast<int>(Lanes::width), 0, stream,
           chains, scores, filled);
    const Scores<Lanes>* const ready = filled;
    launch(viterbi_kernel<Lanes, decltype(one_block)::value>, Groups<Lanes>::blocks(workers),
           Groups<Lanes>::threads, 0, stream, chains, found, ready, out, vectors, workers);
  });
  return stream.workspace == nullptr ? memory.used() : 0;
}

std::ptrdiff_t k_best(const Chains<Real>& chains, const BestPaths<Real>& out, const cuda::Stream& stream) {
  const DeviceGuard guard(stream.device);
  check_tags(chains);
  cuda::Workspace memory(stream.workspace);
  const ChainPositions found = enqueue_positions(chains, no_paths, stream, memory);
  const std::ptrdiff_t list_size = chains.tags * out.count;
  const std::ptrdiff_t all_lists = (chains.time > 0 ? chains.time : 1) * list_size;
  const std::ptrdiff_t workers =
      workers_for(chains.batch, bytes(2 * list_size, sizeof(double)) + bytes(all_lists, sizeof(Origin)));
  auto* const lists = memory.take<double>(workers * 2 * list_size);
  auto* const origins = memory.take<Origin>(workers * all_lists);
  if (stream.workspace == nullptr) return memory.used();
  launch(k_best_kernel, workers, 32, 0, stream, chains, found, out, lists, origins, workers);
  return 0;
}

std::ptrdiff_t log_alphas(const Chains<Real>& chains, Real* alphas, const cuda::Stream& stream) {
  const DeviceGuard guard(stream.device);
  check_tags(chains);
  cuda::Workspace memory(stream.workspace);
  const ChainPositions found = enqueue_positions(chains, no_paths, stream, memory);
  const auto* const weights = enqueue_weights<WarpLanes>(chains, stream, memory);
  const std::ptrdiff_t log_size = LogScratch<WarpLanes>::parts * Shape<WarpLanes>(chains.tags).padded;
  const std::ptrdiff_t workers = workers_for(chains.batch, bytes(log_size, sizeof(double)));
  auto* const logs = memory.take<double>(workers * log_size);
  if (stream.workspace == nullptr) return memory.used();
  launch(alphas_kernel, workers, 32, 0, stream, chains, found, weights, logs, alphas, workers);
  return 0;
}

std::ptrdiff_t sample(const Chains<Real>& chains, const Samples& out, const cuda::Stream& stream) {
  const DeviceGuard guard(stream.device);
  check_tags(chains);
  cuda::Workspace memory(stream.workspace);
  const ChainPositions found = enqueue_positions(chains, no_paths, stream, memory);
  const auto* const weights = enqueue_weights<WarpLanes>(chains, stream, memory);
  const std::ptrdiff_t log_size = LogScratch<WarpLanes>::parts * Shape<WarpLanes>(chains.tags).padded;
  const std::ptrdiff_t alpha_size = chains.time * chains.tags;
  const std::ptrdiff_t workers = workers_for(chains.batch, bytes(log_size + alpha_size, sizeof(double)));
  auto* const logs = memory.take<double>(workers * log_size);
  auto* const alphas = memory.take<double>(workers * alpha_size);
  if (stream.workspace == nullptr) return memory.used();
  launch(sample_kernel, workers, 32, 0, stream, chains, found, weights, logs, alphas, out, workers);
  return 0;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
