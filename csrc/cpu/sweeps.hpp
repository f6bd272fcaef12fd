// The sweeps of rows on the CPU: which of them a thread takes step by step together, so that one works while
// the others' sums are under way.
#pragma once

#include <atomic>
#include <cstddef>

#include "chain/likelihood.hpp"
#include "cpu/parallel.hpp"
#include "cpu/rows.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// A row at work, by one thread or two.
template <class Lanes, bool OneBlock, class Real>
class RowTask {
 public:
  using Work = typename Lanes::Work;

  explicit RowTask(const Call<Lanes, Real>& call)
      : call_(call), positions_(call.chains), memory_(RowScratch<Lanes>::size(call.weights->shape)) {}

  // `messages`: (time, tags), the row's; `cache`: see Sweep.
  PYBERT_CRF_NOINLINE void begin(std::ptrdiff_t index, Real* messages, Work* cache = nullptr) {
    row_ = positions_.find(index);
    messages_ = messages;
    cache_ = cache;
  }

  const Row<Real>& row() const { return row_; }

  // Messages that the caller keeps are 0 where masked.
  void clear_masked_messages() { fill_masked<Lanes>(row_, call_.chains.time, row_.tags, messages_, Real{0}); }

  PYBERT_CRF_NOINLINE void begin_sweeps() {
    for (const Side side : both_sides)
      sweeps_[side] = begin_forward(call_.weights->shape, row_, side, scratch(), messages_, cache_);
  }

  ForwardSweep<Lanes, Real>* sweep(Side side) { return &sweeps_[side]; }

  PYBERT_CRF_NOINLINE void finish_sweeps() {
    SweepEnd<Lanes> ends[2] = {};
    for (const Side side : both_sides)
      if (call_.weights->scalable) ends[side] = end_of(sweeps_[side]);
    take_value<Lanes, OneBlock>(call_, row_, ends, scratch(), messages_);
  }

  // `pairs`: a table for the counts of each side, or one for both.
  PYBERT_CRF_NOINLINE void begin_gradients(Work* left_pairs, Work* right_pairs) {
    recursion_ = recall_recursion(call_, row_, messages_);
    fill_masked<Lanes>(row_, call_.chains.time, row_.tags, call_.d_emissions(row_.index), Real{0});
    for (const Side side : both_sides)
      gradients_[side] = begin_gradient(call_, row_, side, scratch(), messages_,
                                        side == left ? left_pairs : right_pairs, cache_);
  }

  GradientSweep<Lanes, Real>* gradient(Side side) { return &gradients_[side]; }

  bool scaled() const { return recursion_ == Recursion::scaled; }
  bool exact() const { return is_exact(gradients_[left]) && is_exact(gradients_[right]); }

  // Once both sides are done. `exact`: the pairs have been counted.
  PYBERT_CRF_NOINLINE void finish_gradients(bool exact, const Counts& counts) {
    if (!exact && recursion_ == Recursion::scaled) recursion_ = Recursion::log_semiring;
    const bool in_logs = recursion_ == Recursion::log_semiring;
    const Buffer<double> alphas = in_logs ? Buffer<double>(row_.length * row_.tags) : Buffer<double>();
    finish_gradient(call_, row_, recursion_, scratch(), alphas.data(), counts);
  }

 private:
  RowScratch<Lanes> scratch() const { return {memory_.data()}; }

  const Call<Lanes, Real>& call_;
  RowMemory<Real> positions_;
  Buffer<Work> memory_;
  Row<Real> row_ = {};
  Real* messages_ = nullptr;
  Work* cache_ = nullptr;
  ForwardSweep<Lanes, Real> sweeps_[2];
  GradientSweep<Lanes, Real> gradients_[2];
  Recursion recursion_ = Recursion::none;
};

// How many rows a thread takes at a time.
template <bool OneBlock>
constexpr int rows_in_a_group = OneBlock ? 2 : rows_together;

// Calls work(sweeps) for all sweeps of a group of rows, where sweep(row, side) is one of them: with few tags
// for the four of two rows together, with many for those of one side of all rows.
template <bool OneBlock, class GetHalf, class Do>
PYBERT_CRF_INLINE void for_each_sweep(std::ptrdiff_t number, const GetHalf& sweep, const Do& work) {
  using Sweep = decltype(sweep(0, left));
  if constexpr (OneBlock) {
    if (number == 2) {
      const Sweep sweeps[] = {sweep(0, left), sweep(0, right), sweep(1, left), sweep(1, right)};
      work(sweeps);
      return;
    }
    for (std::ptrdiff_t r = 0; r < number; ++r) {
      const Sweep sweeps[] = {sweep(r, left), sweep(r, right)};
      work(sweeps);
    }
  } else {
    for (const Side side : both_sides) {
      if (number == rows_together) {
        const Sweep sweeps[] = {sweep(0, side), sweep(1, side), sweep(2, side), sweep(3, side)};
        work(sweeps);
        continue;
      }
      for (std::ptrdiff_t r = 0; r < number; ++r) {
        const Sweep sweeps[] = {sweep(r, side)};
        work(sweeps);
      }
    }
  }
}

// Lets threads do the two sides of each row by do_side(state, side), where make(row) is a new state; whoever
// does the second side of a row calls its finish().
template <class State, class Make, class Do>
void for_each_side(std::ptrdiff_t rows, double steps, int threads, Make make, Do do_side) {
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
      do_side(state, task % 2 == 0 ? left : right);
      if (done[task / 2].fetch_add(1, std::memory_order_acq_rel) == 1) state.finish();
    };
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
