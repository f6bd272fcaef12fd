// A chain's parameters as the recursions read them, made once a call.
//
// Tables have their tags in blocks of a group's width, each block row after row, so that a recursion reads
// memory from one end to the other: entry (i, j) stands at (j / width * rows + i) * width + j % width. The
// rows are rounded up to what a step adds at once, and the lanes beyond the last tag are tags that cannot be
// reached: no algorithm has a special case for them.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "lanes/math.hpp"
#include "problem.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The bounds within which nothing in a scaled recursion can underflow: docs/crf/numbers.md, eq. 14 to 17.
namespace bound {
constexpr double least_weight = -207.9;    // log 2^-300: of a finite transition, relative to the greatest
constexpr double least_emission = -138.6;  // log 2^-200: of a finite emission, start or end, likewise
constexpr double least_value = 0x1p-400;   // of a positive number of a message
constexpr double least_total = 0x1p-400;   // of a row's total, where its two sweeps meet
// Of a position's total, its messages scaled to a maximum in [1, 2): stored in float they may have lost
// 2^-150.
template <class Real>
constexpr double least_normaliser = sizeof(Real) == sizeof(float) ? 0x1p-60 : 0x1p-900;
}  // namespace bound

// From which end a sweep starts.
enum Side { left = 0, right = 1 };
constexpr Side both_sides[] = {left, right};
PYBERT_CRF_INLINE constexpr Side opposite(Side side) {
  return side == left ? right : left;
}

template <class Lanes>
struct Shape {
  std::ptrdiff_t tags;
  std::ptrdiff_t padded;  // tags, rounded up to whole groups
  std::ptrdiff_t rows;    // tags, rounded up to what a step adds at once

  PYBERT_CRF_FUNCTION explicit Shape(std::ptrdiff_t count)
      : tags(count),
        padded((count + Lanes::width - 1) / Lanes::width * Lanes::width),
        rows((count + Lanes::partials - 1) / Lanes::partials * Lanes::partials) {}

  PYBERT_CRF_INLINE std::ptrdiff_t table() const { return padded * rows; }

  PYBERT_CRF_INLINE std::ptrdiff_t at(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return (j / Lanes::width * rows + i) * Lanes::width + j % Lanes::width;
  }
};

// exp of the scores, each relative to the greatest of its kind (eq. 8).
template <class Lanes>
struct Weights {
  using Work = typename Lanes::Work;

  Shape<Lanes> shape;
  Work* boundary[2] = {};  // (padded): exp(start), exp(end)
  Work* table[2] =
      {};  // W and its transpose: row i of table[side] is of the tag that a sweep from that side leaves
  Work* padding = nullptr;  // (padded): 0 for a tag, -inf for a lane beyond the last
  double boundary_top[2] = {};
  double top = 0;
  bool scalable = false;  // the parameters are within the bounds of the scaled recursion
  bool has_nan = false;   // NaN or +inf among the transitions
};

// The greatest of some scores and the least finite one.
struct Spread {
  double top = -std::numeric_limits<double>::infinity();
  double low = std::numeric_limits<double>::infinity();
  bool unusable = false;  // NaN or +inf among them

  PYBERT_CRF_INLINE void add(double score) {
    unusable |= is_nan_or_inf(score);
    top = score > top ? score : top;
    low = score > -std::numeric_limits<double>::infinity() && score < low ? score : low;
  }

  // What the scores are made relative to: 0 where all of them are -inf.
  PYBERT_CRF_INLINE double base() const { return top > -std::numeric_limits<double>::infinity() ? top : 0; }

  PYBERT_CRF_INLINE bool within(double bound) const { return !unusable && (low > top || low - top >= bound); }
};

// How many numbers the arrays of Weights and of Scores are.
template <class Lanes>
PYBERT_CRF_INLINE std::ptrdiff_t parameter_size(const Shape<Lanes>& shape) {
  return 2 * shape.table() + 3 * shape.padded;
}

// Weights or Scores whose arrays are in this memory, one after the other.
template <class Parameters, class Lanes>
PYBERT_CRF_INLINE Parameters parameters_at(const Shape<Lanes>& shape, typename Lanes::Work* memory) {
  Parameters parameters{shape};
  for (int side = left; side <= right; ++side, memory += shape.table()) parameters.table[side] = memory;
  for (int side = left; side <= right; ++side, memory += shape.padded) parameters.boundary[side] = memory;
  parameters.padding = memory;
  return parameters;
}

// Rows first..stop-1 of a table: score(i, j), and `beyond` in the rows and lanes beyond the last tag.
template <class Lanes, class Score>
PYBERT_CRF_FUNCTION void fill_table(const Shape<Lanes>& shape, std::ptrdiff_t first, std::ptrdiff_t stop,
                                    Score score, typename Lanes::Work beyond, typename Lanes::Work* table) {
  Lanes::each(shape.padded, [&](std::ptrdiff_t j) {
    for (std::ptrdiff_t i = first; i < stop; ++i)
      table[shape.at(i, j)] = i < shape.tags && j < shape.tags ? score(i, j) : beyond;
  });
}

// Finds what the scores are made relative to, and whether they are within the bounds. `weights` has its
// arrays.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void measure_parameters(const Chains<Real>& chains, Weights<Lanes>& weights) {
  const std::ptrdiff_t tags = weights.shape.tags;
  const auto spread = Lanes::template spread_of<Spread>(tags, [&](Spread& all, std::ptrdiff_t i) {
    for (std::ptrdiff_t j = 0; j < tags; ++j) all.add(static_cast<double>(chains.transitions(i, j)));
  });
  weights.top = spread.base();
  weights.has_nan = spread.unusable;
  weights.scalable = spread.within(bound::least_weight);
  for (int at_side = left; at_side <= right; ++at_side) {
    const auto side = static_cast<Side>(at_side);
    const auto& scores = side == left ? chains.start : chains.end;
    const auto ends = Lanes::template spread_of<Spread>(
        tags, [&](Spread& all, std::ptrdiff_t j) { all.add(static_cast<double>(scores(j))); });
    weights.boundary_top[side] = ends.base();
    weights.scalable = weights.scalable && ends.within(bound::least_emission);
  }
}

// Fills the weights once the parameters have been measured; of the tables the rows first..stop-1.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void fill_weights(const Chains<Real>& chains, const Weights<Lanes>& weights,
                                      std::ptrdiff_t first, std::ptrdiff_t stop) {
  using Work = typename Lanes::Work;
  constexpr Work nothing = -std::numeric_limits<Work>::infinity();
  const Shape<Lanes>& shape = weights.shape;
  const auto& transitions = chains.transitions;
  const double top = weights.top;
  fill_table(
      shape, first, stop,
      [&](auto i, auto j) { return static_cast<Work>(static_cast<double>(transitions(i, j)) - top); },
      nothing, weights.table[left]);
  fill_table(
      shape, first, stop,
      [&](auto i, auto j) { return static_cast<Work>(static_cast<double>(transitions(j, i)) - top); },
      nothing, weights.table[right]);
  for (int at_side = left; at_side <= right; ++at_side) {
    const auto side = static_cast<Side>(at_side);
    for (std::ptrdiff_t block = 0; block < shape.padded; block += Lanes::width)
      for (std::ptrdiff_t i = first; i < stop; ++i) {
        Work* row = weights.table[side] + block * shape.rows + i * Lanes::width;
        Lanes::store(row, Lanes::exp(Lanes::load(row)));
      }
    if (first > 0) continue;
    const auto& scores = side == left ? chains.start : chains.end;
    Work* boundary = weights.boundary[side];
    Lanes::each(shape.padded, [&](std::ptrdiff_t j) {
      weights.padding[j] = j < shape.tags ? 0 : nothing;
      boundary[j] = j < shape.tags
                        ? static_cast<Work>(static_cast<double>(scores(j)) - weights.boundary_top[side])
                        : nothing;
    });
    for (std::ptrdiff_t at = 0; at < shape.padded; at += Lanes::width)
      Lanes::store(boundary + at, Lanes::exp(Lanes::load(boundary + at)));
  }
}

template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void weigh_parameters(const Chains<Real>& chains, Weights<Lanes>& weights) {
  measure_parameters(chains, weights);
  fill_weights(chains, weights, 0, weights.shape.rows);
}

// The scores themselves, for recursions with a maximum. Those of the left side make the maxima: in rows and
// lanes beyond the last tag they are -inf, which leaves a maximum alone. Those of the right side tell which
// tag attains a maximum: beyond the last tag they are NaN, which equals none, not even -inf.
template <class Lanes>
struct Scores {
  using Work = typename Lanes::Work;

  Shape<Lanes> shape;
  Work* boundary[2] = {};         // (padded): start, end
  Work* table[2] = {};            // the transitions and their transpose
  Work* padding = nullptr;        // (padded): 0 for a tag, -inf for a lane beyond the last
  bool boundary_has_nan = false;  // NaN or +inf in start or end
  bool has_nan = false;           // NaN or +inf among the transitions
};

// Copies the rows first..stop-1 of the tables, and with the first rows everything else.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void copy_parameters(const Chains<Real>& chains, std::ptrdiff_t first,
                                         std::ptrdiff_t stop, Scores<Lanes>& scores) {
  using Work = typename Lanes::Work;
  constexpr Work nothing = -std::numeric_limits<Work>::infinity();
  constexpr Work nan = std::numeric_limits<Work>::quiet_NaN();
  const Shape<Lanes>& shape = scores.shape;
  const std::ptrdiff_t tags = shape.tags;
  const auto& transitions = chains.transitions;
  fill_table(
      shape, first, stop, [&](auto i, auto j) { return Work{transitions(i, j)}; }, nothing,
      scores.table[left]);
  fill_table(
      shape, first, stop, [&](auto i, auto j) { return Work{transitions(j, i)}; }, nan, scores.table[right]);
  if (first > 0) return;
  Lanes::each(shape.padded, [&](std::ptrdiff_t j) {
    scores.boundary[left][j] = j < tags ? chains.start(j) : nothing;
    scores.boundary[right][j] = j < tags ? chains.end(j) : nan;
    scores.padding[j] = j < tags ? 0 : nothing;
  });
  scores.has_nan = Lanes::any_of(tags, [&](std::ptrdiff_t i) {
    bool any = false;
    for (std::ptrdiff_t j = 0; j < tags; ++j) any |= is_nan_or_inf(transitions(i, j));
    return any;
  });
  scores.boundary_has_nan = Lanes::any_of(
      tags, [&](std::ptrdiff_t j) { return is_nan_or_inf(chains.start(j)) || is_nan_or_inf(chains.end(j)); });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
