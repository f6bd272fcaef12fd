// The steps of a row in a block of threads, for values and gradients.
//
// A row has two groups of lanes, one for each side. Each function below is what one group does from one
// block-wide barrier to the next, which is the caller's; what it leaves for the other group stands in
// RowState. The kernel of cuda/rows.cuh calls them on a GPU, tests/cpp/lockstep on the host, where every
// access to memory is checked.
#pragma once

#include <cstddef>

#include "chain/likelihood.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The memory that one row is worked on in.
template <class Lanes, class Real>
struct BlockScratch {
  typename Lanes::Element* memory;  // size(shape) of them
  double* alphas;                   // (time, tags)
  Real* messages;                   // (time, tags)

  static PYBERT_CRF_INLINE std::ptrdiff_t size(const Shape<Lanes>& shape) {
    return RowScratch<Lanes>::size(shape) + 2 * shape.table();
  }

  PYBERT_CRF_INLINE RowScratch<Lanes> row() const { return {memory}; }

  // The table for a side's counts of pairs.
  PYBERT_CRF_INLINE typename Lanes::Element* pairs(const Shape<Lanes>& shape, int side) const {
    return memory + RowScratch<Lanes>::size(shape) + side * shape.table();
  }
};

// What the groups of a row tell each other.
template <class Lanes>
struct RowState {
  SweepEnd<Lanes> ends[2];
  Recursion recursion;
  bool exact[2];  // the gradient of each side
};

// 1. The sweep from a side.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void sweep_side(const Call<Lanes, Real>& call, const Row<Real>& row, Side side,
                                    const BlockScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Weights<Lanes>& weights = *call.weights;
  if (side == right && call.log_z != nullptr)  // the caller keeps the messages
    fill_masked<Lanes>(row, call.chains.time, row.tags, scratch.messages, Real{0});
  if (!weights.scalable) return;
  ForwardSweep<Lanes, Real> sweep =
      begin_forward<Lanes, Real>(weights.shape, row, side, scratch.row(), scratch.messages, nullptr);
  ForwardSweep<Lanes, Real>* const sweeps[] = {&sweep};
  forward_sweeps<Lanes, OneBlock>(weights, sweeps);
  const SweepEnd<Lanes> end = end_of(sweep);
  Lanes::in_lane_of(0, [&] { state.ends[side] = end; });
}

// 2. The value, by the left group alone.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void take_value(const Call<Lanes, Real>& call, const Row<Real>& row,
                                    const BlockScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Recursion recursion =
      take_value<Lanes, OneBlock>(call, row, state.ends, scratch.row(), scratch.messages);
  Lanes::in_lane_of(0, [&] { state.recursion = recursion; });
}

// 2'. The same from an earlier call's log_z and messages.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void recall_value(const Call<Lanes, Real>& call, const Row<Real>& row,
                                      const BlockScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  Lanes::in_lane_of(0, [&] { state.recursion = recall_recursion(call, row, scratch.messages); });
}

// 3. The gradient over the positions of a side.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void differentiate_side(const Call<Lanes, Real>& call, const Row<Real>& row, Side side,
                                            const BlockScratch<Lanes, Real>& scratch,
                                            RowState<Lanes>& state) {
  const Weights<Lanes>& weights = *call.weights;
  const Shape<Lanes>& shape = weights.shape;
  if (side == right)
    fill_masked<Lanes>(row, call.chains.time, row.tags, call.d_emissions(row.index), Real{0});
  bool exact = state.recursion == Recursion::scaled;
  if (exact) {
    auto* const pairs = scratch.pairs(shape, side);
    for (std::ptrdiff_t at = 0; at < shape.table(); at += Lanes::width)
      Lanes::store(pairs + at, Lanes::all(0));
    GradientSweep<Lanes, Real> sweep =
        begin_gradient<Lanes, Real>(call, row, side, scratch.row(), scratch.messages, pairs, nullptr);
    GradientSweep<Lanes, Real>* const sweeps[] = {&sweep};
    gradient_sweeps<Lanes, OneBlock>(weights, sweeps);
    exact = is_exact(sweep);
  }
  Lanes::in_lane_of(0, [&] { state.exact[side] = exact; });
}

// 4. The row's counts, by the left group alone.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void count_row(const Call<Lanes, Real>& call, const Row<Real>& row,
                                   const BlockScratch<Lanes, Real>& scratch, const RowState<Lanes>& state,
                                   const Counts& counts) {
  const Shape<Lanes>& shape = call.weights->shape;
  Recursion recursion = state.recursion;
  if (recursion == Recursion::scaled) {
    if (state.exact[left] && state.exact[right]) {
      for (int side = left; side <= right; ++side)
        add_pairs<Lanes>(shape, scratch.pairs(shape, side), counts);
    } else {
      recursion = Recursion::log_semiring;
    }
  }
  finish_gradient(call, row, recursion, scratch.row(), scratch.alphas, counts);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
