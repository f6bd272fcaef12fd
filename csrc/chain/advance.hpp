// The steps of the scaled recursion (eq. 9, 10), of one sweep or of several at once, and the way of sweeps
// through all their stretches.
#pragma once

#include <cstddef>

#include "chain/scaled.hpp"
#include "chain/table.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Whether a step multiplies by the scale of the vector two before (eq. 9). Stretches are even: a step's
// number in its stretch will do for that in the sweep.
PYBERT_CRF_INLINE bool is_scaled(std::ptrdiff_t step) {
  return step % 2 == 1;
}

// The scale that a step multiplies by, which is taken off the exponent.
template <class Lanes>
PYBERT_CRF_INLINE typename Lanes::Work scale_of_step(const Stretch<Lanes>& stretch, std::ptrdiff_t step,
                                                     Course<Lanes>& course) {
  if (!is_scaled(step)) return 1;
  const typename Lanes::Work scale = stretch.scales[step - 1];
  course.exponent -= exponent_of(scale);
  return scale;
}

// Phase 2, the end of a step for one block of tags: what is reached, times its emission.
template <class Lanes>
PYBERT_CRF_INLINE void settle(const Stretch<Lanes>& stretch, std::ptrdiff_t step, std::ptrdiff_t block,
                              std::ptrdiff_t padded, const typename Lanes::Values& reached,
                              const typename Lanes::Values& scale, typename Lanes::Values& least,
                              typename Lanes::Values& peak) {
  const std::ptrdiff_t at = step * padded + block;
  const auto value = reached * (Lanes::load(stretch.emitted + step * stretch.along + block) * scale);
  Lanes::store(stretch.vectors + padded + at, value);
  Lanes::store(stretch.reached + at, reached);
  least = Lanes::least_positive(least, value);
  peak = Lanes::max(value, peak);
}

// Phase 2, one step (eq. 9, 10): vectors[step + 1] = (vectors[step] W) * emitted[step] * scale.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_INLINE void advance(const Weights<Lanes>& weights, bool at_boundary, std::ptrdiff_t step,
                               Half<Lanes, Real>& half) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const auto* vector = half.stretch.vectors + step * padded;
  const Values scale = Lanes::all(scale_of_step(half.stretch, step, half.course));
  Values peak = Lanes::all(0);
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const Values reached = at_boundary ? Lanes::load(weights.boundary[half.start] + block)
                                       : propagate(weights.shape, vector, weights.table[half.start], block);
    settle(half.stretch, step, block, padded, reached, scale, half.course.least, peak);
  }
  Lanes::sync();
  Lanes::store_one(half.stretch.scales + step + 1, scale_to_one(Lanes::greatest(peak)));
}

// The steps first..stop-1, none of them at a boundary, of sweeps whose tags fill one block: what changes from
// step to step stays in registers. Of several, the even ones come from one end and the odd ones from the
// other.
template <class Lanes, class Table, int number, class AnyHalf>
PYBERT_CRF_FUNCTION void advance_block(const Weights<Lanes>& weights, AnyHalf* const (&halves)[number],
                                       std::ptrdiff_t first, std::ptrdiff_t stop) {
  using Values = typename Lanes::Values;
  const Table tables[2] = {{weights.shape, weights.table[halves[0]->start]},
                           {weights.shape, weights.table[halves[number - 1]->start]}};
  Stretch<Lanes> stretches[number];
  Course<Lanes> courses[number];
  PYBERT_CRF_UNROLL
  for (int h = 0; h < number; ++h) {
    stretches[h] = halves[h]->stretch;
    courses[h] = halves[h]->course;
  }
  for (std::ptrdiff_t step = first; step < stop; ++step) {
    PYBERT_CRF_UNROLL
    for (int h = 0; h < number; ++h) {
      const Values reached = tables[h % 2].sum(stretches[h].vectors + step * Lanes::width, 0);
      const Values scale = Lanes::all(scale_of_step(stretches[h], step, courses[h]));
      Values peak = Lanes::all(0);
      settle(stretches[h], step, 0, Lanes::width, reached, scale, courses[h].least, peak);
      Lanes::sync();
      Lanes::store_one(stretches[h].scales + step + 1, scale_to_one(Lanes::greatest(peak)));
    }
  }
  PYBERT_CRF_UNROLL
  for (int h = 0; h < number; ++h) halves[h]->course = courses[h];
}

// How many rows of many tags go step by step together, so that a table too large for the first cache is read
// once for all of them.
constexpr int rows_together = 4;

// One step of as many sweeps from the same end.
template <class Lanes, class Real>
PYBERT_CRF_INLINE void advance_together(const Weights<Lanes>& weights, std::ptrdiff_t step,
                                        Half<Lanes, Real>* const (&halves)[rows_together]) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = weights.shape.padded;
  const typename Lanes::Cell* vectors[rows_together];
  Values scales[rows_together];
  Values peaks[rows_together];
  PYBERT_CRF_UNROLL
  for (int h = 0; h < rows_together; ++h) {
    vectors[h] = halves[h]->stretch.vectors + step * padded;
    scales[h] = Lanes::all(scale_of_step(halves[h]->stretch, step, halves[h]->course));
    peaks[h] = Lanes::all(0);
  }
  const auto* row = weights.table[halves[0]->start];
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    Values sums[rows_together];
    PYBERT_CRF_UNROLL
    for (int h = 0; h < rows_together; ++h) sums[h] = Lanes::all(0);
    for (std::ptrdiff_t i = 0; i < weights.shape.rows; ++i, row += Lanes::width) {
      const Values weight = Lanes::load(row);
      PYBERT_CRF_UNROLL
      for (int h = 0; h < rows_together; ++h)
        sums[h] = Lanes::fma(Lanes::all(vectors[h][i]), weight, sums[h]);
    }
    PYBERT_CRF_UNROLL
    for (int h = 0; h < rows_together; ++h)
      settle(halves[h]->stretch, step, block, padded, sums[h], scales[h], halves[h]->course.least, peaks[h]);
  }
  Lanes::sync();
  PYBERT_CRF_UNROLL
  for (int h = 0; h < rows_together; ++h)
    Lanes::store_one(halves[h]->stretch.scales + step + 1, scale_to_one(Lanes::greatest(peaks[h])));
}

// The steps first..stop-1 of sweeps that are equally far; `at_boundary`: the first of these is a row's first.
template <class Lanes, bool OneBlock, int number, class AnyHalf>
PYBERT_CRF_INLINE void advance_all(const Weights<Lanes>& weights, AnyHalf* const (&halves)[number],
                                   std::ptrdiff_t first, std::ptrdiff_t stop, bool at_boundary) {
  if (at_boundary && first < stop) {
    PYBERT_CRF_UNROLL
    for (AnyHalf* half : halves) advance<Lanes, OneBlock>(weights, true, first, *half);
    ++first;
  }
  if (first >= stop) return;
  if constexpr (OneBlock && Lanes::keeps_table) {
    constexpr int few = Lanes::partials;
    if (weights.shape.rows == few) {
      advance_block<Lanes, TableInRegisters<Lanes, few>>(weights, halves, first, stop);
    } else {
      advance_block<Lanes, TableInRegisters<Lanes, Lanes::width>>(weights, halves, first, stop);
    }
  } else if constexpr (OneBlock) {
    advance_block<Lanes, TableInMemory<Lanes>>(weights, halves, first, stop);
  } else {
    for (std::ptrdiff_t step = first; step < stop; ++step) {
      if constexpr (number == rows_together) {
        Half<Lanes, typename AnyHalf::Number>* group[] = {halves[0], halves[1], halves[2], halves[3]};
        advance_together(weights, step, group);
      } else {
        PYBERT_CRF_UNROLL
        for (AnyHalf* half : halves) advance<Lanes, OneBlock>(weights, false, step, *half);
      }
    }
  }
}

PYBERT_CRF_INLINE std::ptrdiff_t lesser(std::ptrdiff_t a, std::ptrdiff_t b) {
  return a < b ? a : b;
}

// Takes `number` sweeps through all their steps, a stretch at a time: begin(half, first, count) before the
// recursion and finish(half, first, count) after it. Of few tags, sweeps go step by step together, those from
// the two ends of one row or of two, so that one works while the others' sums are under way. Of many tags,
// four are those from the same end of four rows.
template <class Lanes, bool OneBlock, int number, class AnyHalf, class Begin, class Finish>
PYBERT_CRF_FUNCTION void take_through(const Weights<Lanes>& weights, AnyHalf* const (&halves)[number],
                                      bool from_boundary, Begin begin, Finish finish) {
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const std::ptrdiff_t steps = Stretch<Lanes>::steps(weights.shape);
  std::ptrdiff_t longest = 0;
  PYBERT_CRF_UNROLL
  for (AnyHalf* half : halves) longest = half->count > longest ? half->count : longest;
  for (std::ptrdiff_t first = 0; first < longest; first += steps) {
    std::ptrdiff_t together = number > 1 ? steps : 0;
    PYBERT_CRF_UNROLL
    for (AnyHalf* half : halves) {
      const std::ptrdiff_t count = lesser(steps, half->count - first);
      if (count > 0) begin(*half, first, count);
      together = lesser(together, count > 0 ? count : 0);
    }
    advance_all<Lanes, OneBlock>(weights, halves, 0, together, from_boundary && first == 0);
    PYBERT_CRF_UNROLL
    for (AnyHalf* half : halves) {
      const std::ptrdiff_t count = lesser(steps, half->count - first);
      AnyHalf* const alone[] = {half};
      advance_all<Lanes, OneBlock>(weights, alone, together, count,
                                   from_boundary && first == 0 && together == 0);
      if (count <= 0) continue;
      Lanes::sync();
      finish(*half, first, count);
      Lanes::sync();
      // The last vector goes to the front, for the next stretch.
      for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
        Lanes::store(half->stretch.vectors + block,
                     Lanes::load(half->stretch.vectors + count * padded + block));
      const typename Lanes::Work scale = half->stretch.scales[count];
      Lanes::sync();
      Lanes::store_one(half->stretch.scales, scale);
      Lanes::sync();
    }
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
