// log Z or the log-likelihood of paths and its gradient in one go over a batch: the messages of a group of
// rows are a thread's own, used while they are in its cache.
#pragma once

#include <cstddef>

#include "cpu/gradient.hpp"
#include "cpu/log_partition.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Memory of a thread that still lies in its second cache: up to it, emissions that were exponentiated once
// are kept.
constexpr std::ptrdiff_t most_kept_bytes = std::ptrdiff_t{1} << 20;

// A group of rows that one thread takes.
template <class Lanes, bool OneBlock, class Real>
class ValueAndGradientGroup {
 public:
  using Work = typename Lanes::Work;
  static constexpr std::ptrdiff_t size = rows_in_a_group<OneBlock>;

  ValueAndGradientGroup(const GradientCall<Real>& call, const LogPartition<Real>& out,
                        const Weights<Lanes>& weights)
      : weights_(weights),
        message_size_(call.chains.time * call.chains.tags),
        kept_size_(numbers_to_keep(call.chains, weights.shape)),
        messages_(size * message_size_),
        kept_(size * kept_size_),
        rows_(call.chains, weights, call.paths, out),
        gradients_(call, weights) {}

  void run(const RowOrder& order, std::ptrdiff_t first, std::ptrdiff_t number, const Counts& counts) {
    const auto begin_row = [&](auto& row, std::ptrdiff_t index, std::ptrdiff_t place) {
      row.begin(index, messages_.data() + place * message_size_,
                kept_size_ > 0 ? kept_.data() + place * kept_size_ : nullptr);
    };
    for (std::ptrdiff_t r = 0; r < number; ++r) begin_row(rows_.each[r], order[first + r], r);
    sweep_rows<Lanes, OneBlock>(weights_, rows_.each, number);
    gradients_.run(order, first, number, begin_row, counts);
  }

 private:
  // How many numbers a row keeps; 0 where a group would keep too many.
  static std::ptrdiff_t numbers_to_keep(const Chains<Real>& chains, const Shape<Lanes>& shape) {
    const std::ptrdiff_t numbers = chains.time * shape.padded;
    return numbers <= most_kept_bytes / (size * static_cast<std::ptrdiff_t>(sizeof(Work))) ? numbers : 0;
  }

  const Weights<Lanes>& weights_;
  std::ptrdiff_t message_size_;
  std::ptrdiff_t kept_size_;
  Buffer<Real> messages_;
  Buffer<Work> kept_;  // (size, time, padded) or nothing: the rows' emissions, exponentiated
  Several<LogPartitionRow<Lanes, OneBlock, Real>, size> rows_;
  GradientGroup<Lanes, OneBlock, Real> gradients_;
};

template <class Lanes, bool OneBlock, class Real>
void value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, Real* value,
                        const Gradient<Real>& out, int threads) {
  const Buffer<Real> log_z(chains.batch);
  if (chains.batch < rows_to_cut) {  // the halves of a row are different threads': one pass after the other
    const Buffer<Real> messages(chains.batch * chains.time * chains.tags);
    log_partition<Lanes, OneBlock>(chains, paths, {value, log_z.data(), messages.data()}, threads);
    gradient<Lanes, OneBlock>(chains, paths, grad, messages.data(), log_z.data(), out, threads);
    return;
  }
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const LogPartition<Real> forward{value, log_z.data(), nullptr};
  const GradientCall<Real> call{chains, paths, grad, log_z.data(), out};
  using Group = ValueAndGradientGroup<Lanes, OneBlock, Real>;
  const std::ptrdiff_t groups = (chains.batch + Group::size - 1) / Group::size;
  ChunkCounts<Lanes> counts(groups, chains.tags);
  const RowOrder order(chains);
  for_each_task(counts.chunks(), 3 * count_steps(chains), threads, [&] {
    return [&, group = Group(call, forward, weights)](std::ptrdiff_t chunk) mutable {
      for (std::ptrdiff_t at = counts.first_of(chunk); at < counts.first_of(chunk + 1); ++at)
        group.run(order, at * Group::size, lesser(Group::size, chains.batch - at * Group::size),
                  counts[chunk]);
    };
  });
  counts.reduce(weights, out);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
