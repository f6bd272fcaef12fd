// log Z or the log-likelihood of paths, over a batch: groups of rows, or the two halves of a row, to threads.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/log_semiring.hpp"
#include "chain/path_score.hpp"
#include "chain/sweep.hpp"
#include "cpu/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// One row at work.
template <class Lanes, bool OneBlock, class Real>
class LogPartitionRow {
 public:
  using Work = typename Lanes::Work;

  LogPartitionRow(const Chains<Real>& chains, const Weights<Lanes>& weights, const Paths& paths,
                  const LogPartition<Real>& out)
      : chains_(chains),
        weights_(weights),
        paths_(paths),
        out_(out),
        memory_(chains),
        stretches_(2 * Stretch<Lanes>::size(weights.shape)) {}

  // `messages`: (time, tags), the row's; `kept`: see Half.
  void begin(std::ptrdiff_t row, Real* messages, Work* kept = nullptr) {
    row_ = row;
    messages_ = messages;
    memory_.find(row);
    for (const Side side : both_sides) {
      Work* own = stretches_.data() + side * Stretch<Lanes>::size(weights_.shape);
      halves_[side] = {{Stretch<Lanes>::at(weights_.shape, own),
                        memory_.row(),
                        side,
                        positions_of(side, memory_.length()),
                        kept,
                        {},
                        {}},
                       messages_,
                       0};
    }
  }

  // Messages that others will see are 0 where masked.
  void clear_masked() { memory_.fill_masked(messages_, chains_.tags, Real{0}); }

  HalfSweep<Lanes, Real>* half(Side side) { return &halves_[side]; }

  // Once both halves are done.
  void finish() {
    double log_z = 0;
    const Row<Real> row = memory_.row();
    if (row.length > 0 &&
        !(weights_.scalable && meet<Lanes, OneBlock>(weights_, row.length, end_of(halves_[left]),
                                                     end_of(halves_[right]), log_z))) {
      const LogMemory<Lanes> scratch(weights_.shape.padded);
      log_z = log_forward(weights_, log_chain(chains_), row, *scratch, [](auto...) {});
      for (std::ptrdiff_t i = 0; i < row.length; ++i)  // the mark of a row without messages
        fill(messages_ + row.positions[i] * chains_.tags, chains_.tags,
             std::numeric_limits<Real>::quiet_NaN());
    }
    out_.log_z[row_] = static_cast<Real>(log_z);
    double value = log_z;
    if (paths_.data != nullptr && !(log_z == -std::numeric_limits<double>::infinity()))
      value =
          path_score<Lanes>(chains_, row, [&](std::ptrdiff_t i) { return paths_(row_, row.positions[i]); }) -
          log_z;
    out_.value[row_] = static_cast<Real>(value);
  }

 private:
  const Chains<Real>& chains_;
  const Weights<Lanes>& weights_;
  const Paths& paths_;
  const LogPartition<Real>& out_;
  RowMemory<Real> memory_;
  Buffer<Work> stretches_;
  HalfSweep<Lanes, Real> halves_[2];
  std::ptrdiff_t row_ = 0;
  Real* messages_ = nullptr;
};

// How many rows a thread takes at a time.
template <bool OneBlock>
constexpr int rows_in_a_group = OneBlock ? 2 : rows_together;

// Does all halves of a group of rows: of few tags, the four of two rows together; of many, those of one side
// of all rows.
template <bool OneBlock, class State, class Do>
PYBERT_CRF_INLINE void for_each_half(State* rows, std::ptrdiff_t number, Do do_halves) {
  using Half = decltype(rows->half(left));
  if constexpr (OneBlock) {
    if (number == 2) {
      const Half halves[] = {rows[0].half(left), rows[0].half(right), rows[1].half(left),
                             rows[1].half(right)};
      do_halves(halves);
      return;
    }
    for (std::ptrdiff_t r = 0; r < number; ++r) {
      const Half halves[] = {rows[r].half(left), rows[r].half(right)};
      do_halves(halves);
    }
  } else {
    for (const Side side : both_sides) {
      if (number == rows_together) {
        const Half halves[] = {rows[0].half(side), rows[1].half(side), rows[2].half(side),
                               rows[3].half(side)};
        do_halves(halves);
        continue;
      }
      for (std::ptrdiff_t r = 0; r < number; ++r) {
        const Half halves[] = {rows[r].half(side)};
        do_halves(halves);
      }
    }
  }
}

// Rows that are cut in two: the halves to threads; whoever does the second finishes the row.
template <class State, class Make, class Do>
void for_each_side(std::ptrdiff_t rows, double steps, int threads, Make make, Do do_half) {
  State* states[rows_to_cut];
  std::atomic<int> done[rows_to_cut];
  struct Owner {
    State** states;
    std::ptrdiff_t made = 0;
    ~Owner() {
      while (made > 0) delete states[--made];
    }
  } owner{states};
  for (std::ptrdiff_t row = 0; row < rows; ++row) {
    states[row] = make(row);
    ++owner.made;
    done[row].store(0, std::memory_order_relaxed);
  }
  for_each_task(2 * rows, steps, threads, [&] {
    return [&](std::ptrdiff_t task) {
      State& state = *states[task / 2];
      do_half(state, task % 2 == 0 ? left : right);
      if (done[task / 2].fetch_add(1, std::memory_order_acq_rel) == 1) state.finish();
    };
  });
}

// A group of rows that have begun.
template <class Lanes, bool OneBlock, class Real>
void sweep_rows(const Weights<Lanes>& weights, LogPartitionRow<Lanes, OneBlock, Real>* rows,
                std::ptrdiff_t number) {
  if (weights.scalable)
    for_each_half<OneBlock>(rows, number,
                            [&](auto& halves) { sweep_halves<Lanes, OneBlock>(weights, halves); });
  for (std::ptrdiff_t r = 0; r < number; ++r) rows[r].finish();
}

template <class Lanes, bool OneBlock, class Real>
void log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                   int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  using State = LogPartitionRow<Lanes, OneBlock, Real>;
  using Half = HalfSweep<Lanes, Real>;
  const auto messages_of = [&](std::ptrdiff_t row) { return out.messages + row * chains.time * chains.tags; };
  if (chains.batch < rows_to_cut) {
    for_each_side<State>(
        chains.batch, count_steps(chains), threads,
        [&](std::ptrdiff_t row) {
          auto* state = new State(chains, weights, paths, out);
          state->begin(row, messages_of(row));
          state->clear_masked();
          return state;
        },
        [&](State& state, Side side) {
          Half* const half[] = {state.half(side)};
          if (weights.scalable) sweep_halves<Lanes, OneBlock>(weights, half);
        });
    return;
  }
  constexpr std::ptrdiff_t group = rows_in_a_group<OneBlock>;
  const RowOrder order(chains);
  for_each_task((chains.batch + group - 1) / group, count_steps(chains), threads, [&] {
    return [&, states = Several<State, group>(chains, weights, paths, out)](std::ptrdiff_t task) mutable {
      const std::ptrdiff_t number = lesser(group, chains.batch - task * group);
      for (std::ptrdiff_t r = 0; r < number; ++r) {
        const std::ptrdiff_t row = order[task * group + r];
        states.each[r].begin(row, messages_of(row));
        states.each[r].clear_masked();
      }
      sweep_rows<Lanes, OneBlock>(weights, states.each, number);
    };
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
