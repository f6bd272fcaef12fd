// The recursion of the forward-backward algorithm in the probability semiring, scaled by powers of two
// (Rabiner 1989, section V.A, with another scale), from either end of a row: docs/crf.md, eq. 8 to 17.
//
// A sweep carries the weights of all prefixes (from the left) or suffixes (from the right) that end in each
// tag. The two sweeps of a row meet in the middle, which gives Z (chain/sweep.hpp); what they were at each
// position is kept as messages, each brought to a maximum in [1, 2). The gradient (chain/gradient.hpp) lets
// each sweep go on into the other half, where it meets the messages that the other left: nothing is computed
// twice.
//
// All is exact but for rounding as long as nothing underflows; a row where that cannot be excluded is left
// to chain/log_semiring.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// How many positions of a row the sweep from a side makes the messages of.
PYBERT_CRF_INLINE std::ptrdiff_t positions_of(Side side, std::ptrdiff_t length) {
  return side == left ? (length + 1) / 2 : length / 2;
}

// What a sweep has met, for each lane.
template <class Lanes>
struct Watch {
  typename Lanes::Values emission = Lanes::all(0);  // the least finite emission, relative to its position's
};

// The emissions of a block of tags at the i-th position, -inf in the lanes beyond the last.
template <class Lanes, class Real>
PYBERT_CRF_INLINE typename Lanes::Values load_emission(const Weights<Lanes>& weights, const Row<Real>& row,
                                                       std::ptrdiff_t i, std::ptrdiff_t block) {
  return row.template emissions<Lanes>(i, block) + Lanes::load(weights.beyond + block);
}

// A stretch of consecutive steps of a sweep: each phase of the work is done for all of them before the next,
// so that a phase is a loop of independent operations, but for the recursion itself, which is then short.
template <class Lanes>
struct Stretch {
  using Cell = typename Lanes::Cell;
  Cell* emitted;         // (steps, padded): exp of the emissions, relative to the greatest at the position
  std::ptrdiff_t along;  // from a step's `emitted` to the next one's: padded, or where they are kept in the
                         // order of the row, by a sweep that comes from the right, -padded
  Cell* reached;         // (steps, padded): what the sweep brings to the position, before its emission
  Cell* vectors;         // (steps + 1, padded): the sweep before each step, and after the last
  Cell* scales;          // (steps + 1): what brings each of those to a maximum in [1, 2)

  static PYBERT_CRF_INLINE std::ptrdiff_t steps(const Shape<Lanes>& shape) {
    return Lanes::stretch_steps(shape.padded);
  }

  static PYBERT_CRF_INLINE std::ptrdiff_t size(const Shape<Lanes>& shape) {
    return (3 * steps(shape) + 1) * shape.padded + (steps(shape) / 8 + 1) * 8;
  }

  static PYBERT_CRF_INLINE Stretch at(const Shape<Lanes>& shape, Cell* memory) {
    const std::ptrdiff_t whole = steps(shape) * shape.padded;
    return {memory, shape.padded, memory + whole, memory + 2 * whole, memory + 3 * whole + shape.padded};
  }
};

// The position of a sweep's step: from which end, and how far.
PYBERT_CRF_INLINE std::ptrdiff_t position_of(Side start, std::ptrdiff_t length, std::ptrdiff_t step) {
  return start == left ? step : length - 1 - step;
}

// Where the sweep stands.
template <class Lanes>
struct Course {
  std::int64_t exponent = 0;  // the vector at hand is too small by 2^exponent
  typename Lanes::Values least = Lanes::all(1);
};

// A sweep over half a row, done stretch after stretch: from its side to the middle (HalfSweep), or, when the
// gradient is wanted, from the middle on over the half of the other side (HalfGradient).
template <class Lanes, class Real>
struct Half {
  Stretch<Lanes> stretch;
  Row<Real> row;
  Side start;                  // the end of the row that the sweep comes from
  std::ptrdiff_t count;        // of steps in all
  typename Lanes::Cell* kept;  // null, or (length, padded): a row's `emitted`, which the sweeps of the
                               // forward pass leave to those of the gradient
  Course<Lanes> course;
  Watch<Lanes> watch;
};

// Points a stretch that begins `step` steps from the start of the row to what is kept, if anything is.
template <class Lanes, class Real>
PYBERT_CRF_INLINE void find_kept(std::ptrdiff_t padded, std::ptrdiff_t step, Half<Lanes, Real>& half) {
  if (half.kept == nullptr) return;
  half.stretch.along = half.start == left ? padded : -padded;
  half.stretch.emitted = half.kept + position_of(half.start, half.row.length, step) * padded;
}

// Phase 1: exp(emission - top) at the `count` steps that begin `first` steps from the start of the row.
// Returns the sum of the tops.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION double weigh_emissions(const Weights<Lanes>& weights, std::ptrdiff_t first,
                                           std::ptrdiff_t count, Half<Lanes, Real>& half) {
  using Work = typename Lanes::Work;
  using Values = typename Lanes::Values;
  constexpr Work nothing = -std::numeric_limits<Work>::infinity();
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const std::ptrdiff_t along = half.stretch.along;
  const Row<Real> row = half.row;
  auto* emitted = half.stretch.emitted;
  double tops = 0;
  Values least = half.watch.emission;
  for (std::ptrdiff_t step = 0; step < count; ++step, emitted += along) {
    const std::ptrdiff_t i = position_of(half.start, row.length, first + step);
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
  auto* const lowest = along > 0 ? half.stretch.emitted : emitted - along;
  Lanes::template exp_all<exp_degree_for<Real>>(lowest, count * padded);
  half.watch.emission = least;
  Lanes::sync();
  return tops;
}

// Whether nothing can have underflowed on the way.
template <class Lanes>
PYBERT_CRF_INLINE bool within_bounds(const Course<Lanes>& course, const Watch<Lanes>& watch) {
  return static_cast<double>(Lanes::least(course.least)) >= bound::least_value &&
         static_cast<double>(Lanes::least(watch.emission)) >= bound::least_emission;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
