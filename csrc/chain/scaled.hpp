// The recursion of the forward-backward algorithm in the probability semiring, scaled by powers of two
// (Rabiner 1989, section V.A, with another scale), from either end of a row. docs/crf/numbers.md, eq. 8 to
// 17.
//
// A sweep carries the weights of all prefixes (from the left) or suffixes (from the right) that end in each
// tag. The two sweeps of a row meet in the middle, which gives Z (chain/forward.hpp); what they were at each
// position is stored as messages, each brought to a maximum in [1, 2). The gradient (chain/gradient.hpp) lets
// each sweep continue over the other half, where it meets the messages of the other sweep: nothing is
// computed twice.
//
// The results are exact but for rounding as long as nothing underflows; a row for which that cannot be
// excluded is done by chain/log_semiring.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// How many positions belong to the half of a side.
PYBERT_CRF_INLINE std::ptrdiff_t positions_of(Side side, std::ptrdiff_t length) {
  return side == left ? (length + 1) / 2 : length / 2;
}

// The emissions of a block of tags at the i-th position, -inf in the lanes beyond the last.
template <class Lanes, class Real>
PYBERT_CRF_INLINE typename Lanes::Values load_emission(const Weights<Lanes>& weights, const Row<Real>& row,
                                                       std::ptrdiff_t i, std::ptrdiff_t block) {
  return row.template emissions<Lanes>(i, block) + Lanes::load(weights.padding + block);
}

// Some consecutive steps of a sweep, which fit the first cache. Each phase of the work is done for all of
// them before the next phase. So a phase is a loop of independent operations, except for the recursion
// itself, which is short.
template <class Lanes>
struct Segment {
  using Element = typename Lanes::Element;
  Element* emitted;       // (steps, padded): exp of the emissions, relative to the greatest at the position
  std::ptrdiff_t stride;  // of `emitted`, from a step to the next: padded, or -padded in a cache, which is
                          // in the order of the row, for a sweep from the right
  Element* reached;       // (steps, padded): the vector at the position before its emission is applied
  Element* vectors;       // (steps + 1, padded): the vector before each step, and after the last
  Element* scales;        // (steps + 1): the power of two that brings each vector to a maximum in [1, 2)

  static PYBERT_CRF_INLINE std::ptrdiff_t steps(const Shape<Lanes>& shape) {
    return Lanes::segment_steps(shape.padded);
  }

  static PYBERT_CRF_INLINE std::ptrdiff_t size(const Shape<Lanes>& shape) {
    return (3 * steps(shape) + 1) * shape.padded + (steps(shape) / 8 + 1) * 8;
  }

  static PYBERT_CRF_INLINE Segment at(const Shape<Lanes>& shape, Element* memory) {
    const std::ptrdiff_t whole = steps(shape) * shape.padded;
    return {memory, shape.padded, memory + whole, memory + 2 * whole, memory + 3 * whole + shape.padded};
  }
};

// The position of a sweep's step: from which end, and how far.
PYBERT_CRF_INLINE std::ptrdiff_t position_of(Side start, std::ptrdiff_t length, std::ptrdiff_t step) {
  return start == left ? step : length - 1 - step;
}

// The scaling of a sweep so far.
template <class Lanes>
struct Scaling {
  std::int64_t exponent = 0;                     // the current vector is to be multiplied by 2^exponent
  typename Lanes::Values least = Lanes::all(1);  // the least positive number of a vector, for each lane
};

// A sweep as the recursion knows it, whatever the type of the emissions.
template <class Lanes>
struct Sweep {
  Segment<Lanes> segment;
  Side start;                      // the end of the row that the sweep comes from
  std::ptrdiff_t count;            // of steps in all
  typename Lanes::Element* cache;  // null, or (length, padded): a row's `emitted`, which the forward sweeps
                                   // store for those of the gradient
  Scaling<Lanes> scaling;
  typename Lanes::Values least_emission;  // the least finite one so far, for each lane
};

// A sweep over half a row, done segment after segment: from its side to the middle (ForwardSweep), or, for
// the gradient, from the middle over the half of the other side (GradientSweep).
template <class Lanes, class Real>
struct RowSweep : Sweep<Lanes> {
  Row<Real> row;
};

// Lets `emitted` of a segment that begins `step` steps from the start of the row lie in the cache, if there
// is one.
template <class Lanes, class Real>
PYBERT_CRF_INLINE void use_cache(std::ptrdiff_t padded, std::ptrdiff_t step, RowSweep<Lanes, Real>& sweep) {
  if (sweep.cache == nullptr) return;
  sweep.segment.stride = sweep.start == left ? padded : -padded;
  sweep.segment.emitted = sweep.cache + position_of(sweep.start, sweep.row.length, step) * padded;
}

// Phase 1: exp(emission - top) at the `count` steps that begin `first` steps from the start of the row.
// Returns the sum of the tops.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION double weigh_emissions(const Weights<Lanes>& weights, std::ptrdiff_t first,
                                           std::ptrdiff_t count, RowSweep<Lanes, Real>& sweep) {
  using Work = typename Lanes::Work;
  using Values = typename Lanes::Values;
  constexpr Work nothing = -std::numeric_limits<Work>::infinity();
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const std::ptrdiff_t stride = sweep.segment.stride;
  const Row<Real> row = sweep.row;
  auto* emitted = sweep.segment.emitted;
  double tops = 0;
  Values least = sweep.least_emission;
  for (std::ptrdiff_t step = 0; step < count; ++step, emitted += stride) {
    const std::ptrdiff_t i = position_of(sweep.start, row.length, first + step);
    const Values first_block = load_emission(weights, row, i, 0);
    Values greatest = first_block;
    for (std::ptrdiff_t block = Lanes::width; block < padded; block += Lanes::width)
      greatest = Lanes::max(load_emission(weights, row, i, block), greatest);
    const Work highest = Lanes::greatest(greatest);
    const Work top = highest > nothing ? highest : 0;
    tops += static_cast<double>(top);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
      const Values x = (OneBlock ? first_block : load_emission(weights, row, i, block)) - Lanes::all(top);
      least = Lanes::least_finite(least, x);
      Lanes::store(emitted + block, x);
    }
  }
  auto* const lowest = stride > 0 ? sweep.segment.emitted : emitted - stride;
  Lanes::template exp_all<exp_degree_for<Real>>(lowest, count * padded);
  sweep.least_emission = least;
  Lanes::sync();
  return tops;
}

// Whether nothing can have underflowed in the steps that the sweep has done.
template <class Lanes>
PYBERT_CRF_INLINE bool within_bounds(const Sweep<Lanes>& sweep) {
  return static_cast<double>(Lanes::least(sweep.scaling.least)) >= bound::least_value &&
         static_cast<double>(Lanes::least(sweep.least_emission)) >= bound::least_emission;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
