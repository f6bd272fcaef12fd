// What a row does for its value (log Z, or the log-likelihood of a given path) and its gradient, around the
// recursions: where the sweeps meet, when the log semiring takes over, what a row without a legal path gives,
// the given path, the counts.
//
// The order is: begin_forward and forward_sweeps for both sides, take_value, begin_gradient and
// gradient_sweeps for both sides, finish_gradient. Which rows go together, on which threads, and where they
// wait for each other is left to the schedules in cpu/ and cuda/.
#pragma once

#include <cstddef>
#include <limits>

#include "chain/counts.hpp"
#include "chain/forward.hpp"
#include "chain/gradient.hpp"
#include "chain/log_semiring.hpp"
#include "chain/path_score.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The inputs and outputs of an operation, in which every row finds its own.
template <class Lanes, class Real>
struct Call {
  Chains<Real> chains;
  Paths paths;
  const Weights<Lanes>* weights;
  const Real* grad;  // (batch): as in Operations::gradient
  Real* value;       // (batch)
  Real* log_z;       // (batch); null if it is not wanted
  Gradient<Real> out;

  // The factor of log Z in what is differentiated.
  PYBERT_CRF_INLINE double weight(std::ptrdiff_t index) const {
    const auto factor = static_cast<double>(grad[index]);
    return paths.data != nullptr ? -factor : factor;
  }

  PYBERT_CRF_INLINE Real* d_emissions(std::ptrdiff_t index) const {
    return out.emissions + index * chains.time * chains.tags;
  }
};

// By which recursion a row goes on to its gradient.
enum class Recursion {
  none,          // it has none: the row is empty, or has no legal path
  scaled,        // the forward pass was exact and has left messages
  log_semiring,  // it was not, and the messages are NaN
};

// The working memory of a row: what the sweeps of each side need, and the log semiring.
template <class Lanes>
struct RowScratch {
  using Element = typename Lanes::Element;
  Element* memory;  // size(shape) of them

  static PYBERT_CRF_INLINE std::ptrdiff_t size_of_side(const Shape<Lanes>& shape) {
    return Segment<Lanes>::size(shape) + shape.padded;
  }
  static PYBERT_CRF_INLINE std::ptrdiff_t size(const Shape<Lanes>& shape) {
    return 2 * size_of_side(shape) + LogScratch<Lanes>::parts * shape.padded;
  }

  PYBERT_CRF_INLINE Element* boundary_counts(const Shape<Lanes>& shape, Side side) const {
    return memory + side * size_of_side(shape);
  }
  PYBERT_CRF_INLINE Segment<Lanes> segment(const Shape<Lanes>& shape, Side side) const {
    return Segment<Lanes>::at(shape, boundary_counts(shape, side) + shape.padded);
  }
  PYBERT_CRF_INLINE LogScratch<Lanes> log(const Shape<Lanes>& shape) const {
    return LogScratch<Lanes>::at(shape.padded, memory + 2 * size_of_side(shape));
  }
};

// A sweep over the half of a side, from the end `start` of the row; `cache`: see Sweep.
template <class Lanes, class Real>
PYBERT_CRF_INLINE RowSweep<Lanes, Real> begin_half(const Shape<Lanes>& shape, const Row<Real>& row, Side side,
                                                   Side start, const RowScratch<Lanes>& scratch,
                                                   typename Lanes::Element* cache) {
  const Sweep<Lanes> sweep = {
      scratch.segment(shape, side), start, positions_of(side, row.length), cache, {}, Lanes::all(0)};
  return {sweep, row};
}

// The sweep from a side to the middle of a row. `messages`: (time, tags) of the row.
template <class Lanes, class Real>
PYBERT_CRF_INLINE ForwardSweep<Lanes, Real> begin_forward(const Shape<Lanes>& shape, const Row<Real>& row,
                                                          Side side, const RowScratch<Lanes>& scratch,
                                                          Real* messages, typename Lanes::Element* cache) {
  return {begin_half(shape, row, side, side, scratch, cache), messages, 0};
}

// log Z and the value of a row once its sweeps have come to the middle; `ends` are theirs, and are not read
// if the weights are not scalable. A row on which the scaled recursion is not exact is done in the log
// semiring, and its messages become NaN.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION Recursion take_value(const Call<Lanes, Real>& call, const Row<Real>& row,
                                         const SweepEnd<Lanes>* ends, const RowScratch<Lanes>& scratch,
                                         Real* messages) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  const Weights<Lanes>& weights = *call.weights;
  double log_z = 0;
  bool scaled = true;
  if (row.length > 0) {
    scaled = weights.scalable && meet<Lanes, OneBlock>(weights, row.length, ends[left], ends[right], log_z);
    if (!scaled) {
      log_z = log_forward(weights, log_chain(call.chains), row, scratch.log(weights.shape),
                          [](std::ptrdiff_t, std::ptrdiff_t, double) {});
      fill_chain<Lanes>(row, row.tags, messages, std::numeric_limits<Real>::quiet_NaN());
    }
  }
  double value = log_z;
  if (call.paths.data != nullptr && !(log_z == nothing))
    value = path_score<Lanes>(call.chains, row, GivenPath<Real>{call.paths, row}) - log_z;
  const auto rounded = static_cast<Real>(log_z);
  Lanes::in_lane_of(0, [&] {
    call.value[row.index] = static_cast<Real>(value);
    if (call.log_z != nullptr) call.log_z[row.index] = rounded;
  });
  if (row.length == 0 || static_cast<double>(rounded) == nothing) return Recursion::none;
  return scaled ? Recursion::scaled : Recursion::log_semiring;
}

// What take_value returned in an earlier call, from what that call has left.
template <class Lanes, class Real>
PYBERT_CRF_INLINE Recursion recall_recursion(const Call<Lanes, Real>& call, const Row<Real>& row,
                                             const Real* messages) {
  if (row.length == 0 || call.log_z[row.index] == -std::numeric_limits<Real>::infinity())
    return Recursion::none;
  const Real mark = messages[row.positions[0] * row.tags];
  return call.weights->scalable && mark == mark ? Recursion::scaled : Recursion::log_semiring;
}

// The sweep of a row's gradient over the positions of a side, which comes from the other side. `counts`: a
// table of pairs, which is added to; `messages`, `cache`: as left by the forward pass.
template <class Lanes, class Real>
PYBERT_CRF_INLINE GradientSweep<Lanes, Real> begin_gradient(
    const Call<Lanes, Real>& call, const Row<Real>& row, Side side, const RowScratch<Lanes>& scratch,
    const Real* messages, typename Lanes::Element* counts, typename Lanes::Element* cache) {
  const Shape<Lanes>& shape = call.weights->shape;
  return {begin_half(shape, row, side, opposite(side), scratch, cache),
          call.weight(row.index),
          messages,
          call.d_emissions(row.index),
          counts,
          scratch.boundary_counts(shape, side),
          true};
}

// Whether a sweep of the gradient, which has come to its end, was exact: if not, what it has left means
// nothing.
template <class Lanes, class Real>
PYBERT_CRF_INLINE bool is_exact(const GradientSweep<Lanes, Real>& sweep) {
  return sweep.count == 0 || (sweep.exact && within_bounds(sweep));
}

// The gradient of a row by another recursion than the scaled one, and its part of the parameters' gradient;
// after the sweeps of both sides if it is the scaled one, whose pairs the schedule has added to the counts.
// `alphas`: memory for (length, tags), for the log semiring.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void finish_gradient(const Call<Lanes, Real>& call, const Row<Real>& row,
                                         Recursion recursion, const RowScratch<Lanes>& scratch,
                                         double* alphas, const Counts& counts) {
  const Weights<Lanes>& weights = *call.weights;
  const Shape<Lanes>& shape = weights.shape;
  Real* const d_emissions = call.d_emissions(row.index);
  if (recursion == Recursion::none) {
    fill_chain<Lanes>(row, row.tags, d_emissions, Real{0});
    return;
  }
  if (recursion == Recursion::scaled) {
    const auto* const start = scratch.boundary_counts(shape, left);
    const auto* const end = scratch.boundary_counts(shape, row.length == 1 ? left : right);
    Lanes::each(row.tags, [&](std::ptrdiff_t j) {
      counts.start[j] += start[j];
      counts.end[j] += end[j];
    });
  } else {
    log_row_gradient(weights, log_chain(call.chains), row, call.weight(row.index), alphas, scratch.log(shape),
                     d_emissions, counts);
  }
  Lanes::sync();
  if (call.paths.data != nullptr)
    add_path<Lanes>(row, GivenPath<Real>{call.paths, row}, call.grad[row.index], d_emissions, counts);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
