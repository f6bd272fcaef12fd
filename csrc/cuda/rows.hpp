// What a block of threads does with a row of a batch, for a group of lanes of any kind.
//
// A row has two groups, one for each of its sweeps. The work is cut where the two must wait for each other
// (`sync_block`, which is the caller's): each function below is what one group does from one such point to
// the next, and what it leaves for the other stands in RowState. csrc/cuda/kernels.cuh runs them on a GPU,
// csrc/cuda/lockstep.cpp on the host, with checks, in the tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/gradient.hpp"
#include "chain/log_semiring.hpp"
#include "chain/path_score.hpp"
#include "chain/row.hpp"
#include "chain/sweep.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// A batch on its way to values and gradients.
template <class Lanes, class Real>
struct Call {
  Chains<Real> chains;
  Paths paths;
  const Weights<Lanes>* weights;
  const std::ptrdiff_t* positions;  // (batch, time + 1): the unmasked positions of each row
  const std::ptrdiff_t* lengths;    // (batch)
  const Real* grad;                 // (batch): as in Operations::gradient
  Real* value;                      // (batch)
  Real* log_z;                      // (batch)
  Gradient<Real> out;

  PYBERT_CRF_INLINE Row<Real> row(std::ptrdiff_t index) const {
    return {chains.emissions[index], positions + index * (chains.time + 1), lengths[index], chains.tags};
  }

  PYBERT_CRF_INLINE LogChain<Real> log_chain() const {
    return {chains.transitions, chains.start, chains.end};
  }

  // Of log Z in what is differentiated.
  PYBERT_CRF_INLINE double weight(std::ptrdiff_t index) const {
    const auto factor = static_cast<double>(grad[index]);
    return paths.data != nullptr ? -factor : factor;
  }
};

// The tag of a given path at the i-th position of a row.
template <class Real>
struct PathTag {
  Paths paths;
  Row<Real> row;
  std::ptrdiff_t index;

  PYBERT_CRF_INLINE std::ptrdiff_t operator()(std::ptrdiff_t i) const {
    return static_cast<std::ptrdiff_t>(paths(index, row.positions[i]));
  }
};

// The memory that one row is worked on in.
template <class Lanes, class Real>
struct RowScratch {
  typename Lanes::Cell* cells;  // cells_for(shape) of them
  double* alphas;               // (time, tags)
  Real* messages;               // (time, tags)

  static PYBERT_CRF_INLINE std::ptrdiff_t cells_for_side(const Shape<Lanes>& shape) {
    return Stretch<Lanes>::size(shape) + shape.padded + shape.table();
  }
  static PYBERT_CRF_INLINE std::ptrdiff_t cells_for(const Shape<Lanes>& shape) {
    return 2 * cells_for_side(shape) + LogScratch<Lanes>::parts * shape.padded;
  }

  PYBERT_CRF_INLINE typename Lanes::Cell* side(const Shape<Lanes>& shape, Side which) const {
    return cells + which * cells_for_side(shape);
  }
  PYBERT_CRF_INLINE typename Lanes::Cell* edge(const Shape<Lanes>& shape, Side which) const {
    return side(shape, which) + Stretch<Lanes>::size(shape);
  }
  PYBERT_CRF_INLINE typename Lanes::Cell* table(const Shape<Lanes>& shape, Side which) const {
    return edge(shape, which) + shape.padded;
  }
  PYBERT_CRF_INLINE LogScratch<Lanes> log(const Shape<Lanes>& shape) const {
    return LogScratch<Lanes>::at(shape.padded, cells + 2 * cells_for_side(shape));
  }
};

// What the groups of a row tell each other.
template <class Lanes>
struct RowState {
  SweepEnd<Lanes> ends[2];
  double log_z;
  bool has_messages;  // the sweeps were exact
  bool exact[2];      // so were the gradient's
};

// Sets `width` numbers at each masked position to `value`.
template <class Lanes, class Real, class T>
PYBERT_CRF_FUNCTION void fill_masked(const Chains<Real>& chains, std::ptrdiff_t index, std::ptrdiff_t width,
                                     T* numbers, T value) {
  Lanes::each(chains.time * width, [&](std::ptrdiff_t at) {
    if (chains.mask(index, at / width) == 0) numbers[at] = value;
  });
}

// 1. The sweep from a side.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void sweep_side(const Call<Lanes, Real>& call, std::ptrdiff_t index, Side side,
                                    const RowScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Weights<Lanes>& weights = *call.weights;
  const Row<Real> row = call.row(index);
  HalfSweep<Lanes, Real> half = {{Stretch<Lanes>::at(weights.shape, scratch.side(weights.shape, side)),
                                  row,
                                  side,
                                  positions_of(side, row.length),
                                  nullptr,
                                  {},
                                  {}},
                                 scratch.messages,
                                 0};
  HalfSweep<Lanes, Real>* const halves[] = {&half};
  if (side == right && call.log_z != nullptr)  // somebody will keep them
    fill_masked<Lanes>(call.chains, index, row.tags, scratch.messages, Real{0});
  if (!weights.scalable) return;
  sweep_halves<Lanes, OneBlock>(weights, halves);
  const SweepEnd<Lanes> end = end_of(half);
  Lanes::in_lane_of(0, [&] { state.ends[side] = end; });
}

// 2. log Z and the value, by the left group alone.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void take_value(const Call<Lanes, Real>& call, std::ptrdiff_t index,
                                    const RowScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Weights<Lanes>& weights = *call.weights;
  const Row<Real> row = call.row(index);
  double log_z = 0;
  bool exact = row.length > 0 && weights.scalable;
  exact = exact && meet<Lanes, OneBlock>(weights, row.length, state.ends[left], state.ends[right], log_z);
  if (row.length > 0 && !exact)
    log_z = log_forward(weights, call.log_chain(), row, scratch.log(weights.shape),
                        [](std::ptrdiff_t, std::ptrdiff_t, double) {});
  double value = log_z;
  if (call.paths.data != nullptr && !(log_z == -std::numeric_limits<double>::infinity()))
    value = path_score<Lanes>(call.chains, row, PathTag<Real>{call.paths, row, index}) - log_z;
  Lanes::in_lane_of(0, [&] {
    state.log_z = log_z;
    state.has_messages = exact;
    call.value[index] = static_cast<Real>(value);
    if (call.log_z != nullptr) call.log_z[index] = static_cast<Real>(log_z);
  });
  if (exact) return;
  Lanes::each(row.tags, [&](std::ptrdiff_t j) {  // the mark of a row without messages
    for (std::ptrdiff_t i = 0; i < row.length; ++i)
      scratch.messages[row.positions[i] * row.tags + j] = std::numeric_limits<Real>::quiet_NaN();
  });
}

// 2'. The same from an earlier call's log_z and messages.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void recall_value(const Call<Lanes, Real>& call, std::ptrdiff_t index,
                                      const RowScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Row<Real> row = call.row(index);
  Lanes::in_lane_of(0, [&] {
    state.log_z = static_cast<double>(call.log_z[index]);
    state.has_messages = row.length > 0 && call.weights->scalable &&
                         !is_nan(static_cast<double>(scratch.messages[row.positions[0] * row.tags]));
  });
}

// 3. The gradient over the positions of a side.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void differentiate_side(const Call<Lanes, Real>& call, std::ptrdiff_t index, Side side,
                                            const RowScratch<Lanes, Real>& scratch, RowState<Lanes>& state) {
  const Weights<Lanes>& weights = *call.weights;
  const Shape<Lanes>& shape = weights.shape;
  const Row<Real> row = call.row(index);
  Real* const d_emissions = call.out.emissions + index * call.chains.time * row.tags;
  if (side == right) fill_masked<Lanes>(call.chains, index, row.tags, d_emissions, Real{0});
  bool exact = state.has_messages && !(state.log_z == -std::numeric_limits<double>::infinity());
  if (exact) {
    auto* const table = scratch.table(shape, side);
    for (std::ptrdiff_t at = 0; at < shape.table(); at += Lanes::width)
      Lanes::store(table + at, Lanes::all(0));
    HalfGradient<Lanes, Real> half = {{Stretch<Lanes>::at(shape, scratch.side(shape, side)),
                                       row,
                                       opposite(side),
                                       positions_of(side, row.length),
                                       nullptr,
                                       {},
                                       {}},
                                      call.weight(index),
                                      scratch.messages,
                                      d_emissions,
                                      table,
                                      scratch.edge(shape, side),
                                      true};
    HalfGradient<Lanes, Real>* const halves[] = {&half};
    gradient_halves<Lanes, OneBlock>(weights, halves);
    exact = half.count == 0 || (half.exact && within_bounds(half.course, half.watch));
  }
  Lanes::in_lane_of(0, [&] { state.exact[side] = exact; });
}

// 4. The row's counts, and its gradient where the scaled recursion is not exact, by the left group alone.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void count_row(const Call<Lanes, Real>& call, std::ptrdiff_t index,
                                   const RowScratch<Lanes, Real>& scratch, const RowState<Lanes>& state,
                                   const Counts& counts) {
  const Weights<Lanes>& weights = *call.weights;
  const Shape<Lanes>& shape = weights.shape;
  const Row<Real> row = call.row(index);
  Real* const d_emissions = call.out.emissions + index * call.chains.time * row.tags;
  if (row.length == 0) return;
  if (state.log_z == -std::numeric_limits<double>::infinity()) {
    Lanes::each(row.tags, [&](std::ptrdiff_t j) {
      for (std::ptrdiff_t i = 0; i < row.length; ++i) d_emissions[row.positions[i] * row.tags + j] = 0;
    });
    return;
  }
  if (state.exact[left] && state.exact[right]) {
    const auto* const start = scratch.edge(shape, left);
    const auto* const end = scratch.edge(shape, row.length == 1 ? left : right);
    Lanes::each(row.tags, [&](std::ptrdiff_t j) {
      counts.start[j] += start[j];
      counts.end[j] += end[j];
    });
    for (int at_side = left; at_side <= right; ++at_side) {
      const auto* const pairs = scratch.table(shape, static_cast<Side>(at_side));
      Lanes::each(shape.table(), [&](std::ptrdiff_t at) { counts.products[at] += pairs[at]; });
    }
  } else {
    log_row_gradient(weights, call.log_chain(), row, call.weight(index), scratch.alphas, scratch.log(shape),
                     d_emissions, counts);
  }
  Lanes::sync();
  if (call.paths.data != nullptr)
    add_path<Lanes>(row, PathTag<Real>{call.paths, row, index}, call.grad[index], d_emissions, counts);
}

// Zeroes the counts before the first row of those that go into them.
template <class Lanes>
PYBERT_CRF_FUNCTION void clear_counts(const Shape<Lanes>& shape, const Counts& counts) {
  Lanes::each(shape.padded, [&](std::ptrdiff_t j) {
    counts.start[j] = 0;
    counts.end[j] = 0;
  });
  Lanes::each(shape.table(), [&](std::ptrdiff_t at) { counts.products[at] = 0; });
  Lanes::each(shape.tags, [&](std::ptrdiff_t i) {
    for (std::ptrdiff_t j = 0; j < shape.tags; ++j) counts.direct[i * shape.tags + j] = 0;
  });
  Lanes::sync();
}

// The counts of all rows, from those of `slots` workers in their order, for the pair (i, j), and with the
// first j the tag i too.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void reduce_counts(const Weights<Lanes>& weights, const double* all, std::ptrdiff_t size,
                                       std::ptrdiff_t slots, std::ptrdiff_t i, std::ptrdiff_t j,
                                       const Gradient<Real>& out) {
  const Shape<Lanes>& shape = weights.shape;
  const auto sum = [&](std::ptrdiff_t at) {
    double total = 0;
    for (std::ptrdiff_t slot = 0; slot < slots; ++slot) total += all[slot * size + at];
    return total;
  };
  const std::ptrdiff_t tables = 2 * shape.padded;
  const double products = sum(tables + shape.at(i, j)) * weights.table[left][shape.at(i, j)];
  out.transitions[i * shape.tags + j] =
      static_cast<Real>(products + sum(tables + shape.table() + i * shape.tags + j));
  if (j > 0) return;
  out.start[i] = static_cast<Real>(sum(i));
  out.end[i] = static_cast<Real>(sum(shape.padded + i));
}

// How many numbers the counts of a worker are, and where they stand.
template <class Lanes>
PYBERT_CRF_INLINE std::ptrdiff_t counts_size(const Shape<Lanes>& shape) {
  return 2 * shape.padded + shape.table() + shape.tags * shape.tags;
}
template <class Lanes>
PYBERT_CRF_INLINE Counts counts_at(const Shape<Lanes>& shape, double* memory) {
  return {memory, memory + shape.padded, memory + 2 * shape.padded,
          memory + 2 * shape.padded + shape.table()};
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
