// log Z or the log-likelihood of paths, over a batch: groups of rows, or the two sides of a row, to threads.
#pragma once

#include <cstddef>

#include "cpu/sweeps.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The forward pass of a group of rows that have begun.
template <class Lanes, bool OneBlock, class Real>
void sweep_rows(const Weights<Lanes>& weights, RowTask<Lanes, OneBlock, Real>* rows, std::ptrdiff_t number) {
  for (std::ptrdiff_t r = 0; r < number; ++r) rows[r].begin_sweeps();
  if (weights.scalable)
    for_each_sweep<OneBlock>(
        number, [&](std::ptrdiff_t r, Side side) { return rows[r].sweep(side); },
        [&](auto& sweeps) { forward_sweeps<Lanes, OneBlock>(weights, sweeps); });
  for (std::ptrdiff_t r = 0; r < number; ++r) rows[r].finish_sweeps();
}

// A row whose sides different threads do.
template <class Lanes, bool OneBlock, class Real>
class CutRow {
 public:
  CutRow(const Call<Lanes, Real>& call, std::ptrdiff_t index, Real* messages) : call_(call), row_(call) {
    row_.begin(index, messages);
    row_.clear_masked_messages();
    row_.begin_sweeps();
  }

  void work(Side side) {
    ForwardSweep<Lanes, Real>* const sweep[] = {row_.sweep(side)};
    if (call_.weights->scalable) forward_sweeps<Lanes, OneBlock>(*call_.weights, sweep);
  }

  void finish() { row_.finish_sweeps(); }

 private:
  const Call<Lanes, Real>& call_;
  RowTask<Lanes, OneBlock, Real> row_;
};

template <class Lanes, bool OneBlock, class Real>
void log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                   int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const Call<Lanes, Real> call{chains, paths, &weights, nullptr, out.value, out.log_z, {}};
  const auto messages_of = [&](std::ptrdiff_t row) { return out.messages + row * chains.time * chains.tags; };
  if (chains.batch < rows_to_cut) {
    using State = CutRow<Lanes, OneBlock, Real>;
    for_each_side<State>(
        chains.batch, count_steps(chains), threads,
        [&](std::ptrdiff_t row) { return new State(call, row, messages_of(row)); },
        [](State& state, Side side) { state.work(side); });
    return;
  }
  constexpr int group = rows_in_a_group<OneBlock>;
  const RowOrder order(chains);
  for_each_task((chains.batch + group - 1) / group, count_steps(chains), threads, [&] {
    return [&, rows = make_array<RowTask<Lanes, OneBlock, Real>, group>(call)](std::ptrdiff_t task) mutable {
      const std::ptrdiff_t number = lesser(group, chains.batch - task * group);
      for (std::ptrdiff_t r = 0; r < number; ++r) {
        const std::ptrdiff_t row = order[task * group + r];
        rows[static_cast<std::size_t>(r)].begin(row, messages_of(row));
        rows[static_cast<std::size_t>(r)].clear_masked_messages();
      }
      sweep_rows<Lanes, OneBlock>(weights, rows.data(), number);
    };
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
