// The gradient of log Z or of paths' log-likelihoods, over a batch: groups of rows, or the two sides of a
// row, to threads.
#pragma once

#include <cstddef>

#include "cpu/counts.hpp"
#include "cpu/sweeps.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The gradient of a group of rows that have begun, all by one thread, and `pairs`, a table for the counts of
// their pairs. If one row turns out not to be exact, these counts are worthless, and all rows are done in the
// log semiring.
template <class Lanes, bool OneBlock, class Real>
void differentiate_rows(const Weights<Lanes>& weights, RowTask<Lanes, OneBlock, Real>* rows,
                        std::ptrdiff_t number, typename Lanes::Work* pairs, const Counts& counts) {
  bool any = false;
  bool together = number == rows_in_a_group<OneBlock>;
  for (std::ptrdiff_t r = 0; r < number; ++r) {
    rows[r].begin_gradients(pairs, pairs);
    any |= rows[r].scaled();
    together &= rows[r].scaled() && rows[r].row().length > 1;
  }
  bool exact = any;
  if (any) {
    fill(pairs, weights.shape.table(), typename Lanes::Work{0});
    const auto work = [&](auto& sweeps) { gradient_sweeps<Lanes, OneBlock>(weights, sweeps); };
    if (together) {
      for_each_sweep<OneBlock>(
          number, [&](std::ptrdiff_t r, Side side) { return rows[r].gradient(side); }, work);
    } else {
      for (std::ptrdiff_t r = 0; r < number; ++r)
        if (rows[r].scaled())
          for_each_sweep<OneBlock>(
              1, [&](std::ptrdiff_t, Side side) { return rows[r].gradient(side); }, work);
    }
    for (std::ptrdiff_t r = 0; r < number; ++r) exact &= !rows[r].scaled() || rows[r].exact();
    if (exact) add_pairs<Lanes>(weights.shape, pairs, counts);
  }
  for (std::ptrdiff_t r = 0; r < number; ++r) rows[r].finish_gradients(exact, counts);
}

// A row whose sides different threads do, each with its own table of pairs.
template <class Lanes, bool OneBlock, class Real>
class CutGradientRow {
 public:
  CutGradientRow(const Call<Lanes, Real>& call, std::ptrdiff_t index, Real* messages, const Counts& counts)
      : weights_(*call.weights), pairs_(2 * weights_.shape.table()), row_(call), counts_(counts) {
    fill(pairs_.data(), 2 * weights_.shape.table(), typename Lanes::Work{0});
    row_.begin(index, messages);
    row_.begin_gradients(pairs(left), pairs(right));
  }

  void work(Side side) {
    GradientSweep<Lanes, Real>* const sweep[] = {row_.gradient(side)};
    if (row_.scaled()) gradient_sweeps<Lanes, OneBlock>(weights_, sweep);
  }

  void finish() {
    const bool exact = row_.scaled() && row_.exact();
    for (const Side side : both_sides)
      if (exact) add_pairs<Lanes>(weights_.shape, pairs(side), counts_);
    row_.finish_gradients(exact, counts_);
  }

 private:
  typename Lanes::Work* pairs(Side side) const { return pairs_.data() + side * weights_.shape.table(); }

  const Weights<Lanes>& weights_;
  Buffer<typename Lanes::Work> pairs_;
  RowTask<Lanes, OneBlock, Real> row_;
  Counts counts_;
};

template <class Lanes, bool OneBlock, class Real>
void gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, const Real* messages,
              const Real* log_z, const Gradient<Real>& out, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  // log_z and messages are only read where no values are taken.
  const Call<Lanes, Real> call{chains, paths, &weights, grad, nullptr, const_cast<Real*>(log_z), out};
  const auto messages_of = [&](std::ptrdiff_t row) {
    return const_cast<Real*>(messages) + row * chains.time * chains.tags;
  };
  if (chains.batch < rows_to_cut) {
    using State = CutGradientRow<Lanes, OneBlock, Real>;
    ChunkCounts<Lanes> counts(chains.batch, chains.tags);
    for_each_side<State>(
        chains.batch, 2 * count_steps(chains), threads,
        [&](std::ptrdiff_t row) { return new State(call, row, messages_of(row), counts[row]); },
        [](State& state, Side side) { state.work(side); });
    counts.reduce(weights, out);
    return;
  }
  constexpr int group = rows_in_a_group<OneBlock>;
  ChunkCounts<Lanes> counts((chains.batch + group - 1) / group, chains.tags);
  const RowOrder order(chains);
  for_each_task(counts.chunks(), 2 * count_steps(chains), threads, [&] {
    return [&, rows = make_array<RowTask<Lanes, OneBlock, Real>, group>(call),
            pairs = Buffer<typename Lanes::Work>(weights.shape.table())](std::ptrdiff_t chunk) mutable {
      for (std::ptrdiff_t at = counts.first_of(chunk); at < counts.first_of(chunk + 1); ++at) {
        const std::ptrdiff_t number = lesser(group, chains.batch - at * group);
        for (std::ptrdiff_t r = 0; r < number; ++r) {
          const std::ptrdiff_t row = order[at * group + r];
          rows[static_cast<std::size_t>(r)].begin(row, messages_of(row));
        }
        differentiate_rows(weights, rows.data(), number, pairs.data(), counts[chunk]);
      }
    };
  });
  counts.reduce(weights, out);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
