// log Z or the log-likelihood of paths and its gradient in one pass over a batch: the messages of a group of
// rows are a thread's own, used while they are in its cache.
#pragma once

#include <cstddef>

#include "cpu/gradient.hpp"
#include "cpu/log_partition.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The exponentials of the emissions are kept for the gradient if those of a group of rows take no more
// memory, so that they are still in the second cache.
constexpr std::ptrdiff_t most_cache_bytes = std::ptrdiff_t{1} << 20;

// A group of rows that one thread takes.
template <class Lanes, bool OneBlock, class Real>
class RowGroup {
 public:
  using Work = typename Lanes::Work;
  static constexpr int size = rows_in_a_group<OneBlock>;

  explicit RowGroup(const Call<Lanes, Real>& call)
      : weights_(*call.weights),
        message_size_(call.chains.time * call.chains.tags),
        cache_size_(cache_size(call.chains, weights_.shape)),
        messages_(size * message_size_),
        cache_(size * cache_size_),
        pairs_(weights_.shape.table()),
        rows_(make_array<RowTask<Lanes, OneBlock, Real>, size>(call)) {}

  void run(const RowOrder& order, std::ptrdiff_t first, std::ptrdiff_t number, const Counts& counts) {
    for (std::ptrdiff_t r = 0; r < number; ++r)
      rows_[static_cast<std::size_t>(r)].begin(order[first + r], messages_.data() + r * message_size_,
                                               cache_size_ > 0 ? cache_.data() + r * cache_size_ : nullptr);
    sweep_rows<Lanes, OneBlock>(weights_, rows_.data(), number);
    differentiate_rows(weights_, rows_.data(), number, pairs_.data(), counts);
  }

 private:
  // How many numbers a row keeps; 0 if a group would keep too many.
  static std::ptrdiff_t cache_size(const Chains<Real>& chains, const Shape<Lanes>& shape) {
    const std::ptrdiff_t numbers = chains.time * shape.padded;
    return numbers <= most_cache_bytes / (size * static_cast<std::ptrdiff_t>(sizeof(Work))) ? numbers : 0;
  }

  const Weights<Lanes>& weights_;
  std::ptrdiff_t message_size_;
  std::ptrdiff_t cache_size_;
  Buffer<Real> messages_;
  Buffer<Work> cache_;  // (size, time, padded) or nothing: the rows' emissions, exponentiated
  Buffer<Work> pairs_;
  std::array<RowTask<Lanes, OneBlock, Real>, size> rows_;
};

template <class Lanes, bool OneBlock, class Real>
void value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, Real* value,
                        const Gradient<Real>& out, int threads) {
  const Buffer<Real> log_z(chains.batch);
  if (chains.batch < rows_to_cut) {  // the sides of a row are different threads': one pass after the other
    const Buffer<Real> messages(chains.batch * chains.time * chains.tags);
    log_partition<Lanes, OneBlock>(chains, paths, {value, log_z.data(), messages.data()}, threads);
    gradient<Lanes, OneBlock>(chains, paths, grad, messages.data(), log_z.data(), out, threads);
    return;
  }
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const Call<Lanes, Real> call{chains, paths, &weights, grad, value, log_z.data(), out};
  using Group = RowGroup<Lanes, OneBlock, Real>;
  ChunkCounts<Lanes> counts((chains.batch + Group::size - 1) / Group::size, chains.tags);
  const RowOrder order(chains);
  for_each_task(counts.chunks(), 3 * count_steps(chains), threads, [&] {
    return [&, group = Group(call)](std::ptrdiff_t chunk) mutable {
      for (std::ptrdiff_t at = counts.first_of(chunk); at < counts.first_of(chunk + 1); ++at)
        group.run(order, at * Group::size, lesser(Group::size, chains.batch - at * Group::size),
                  counts[chunk]);
    };
  });
  counts.reduce(weights, out);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
