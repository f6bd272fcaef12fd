// The steps of the scaled recursion (eq. 9, 10), of one sweep or of several at once, segment by segment.
#pragma once

#include <cstddef>

#include "chain/scaled.hpp"
#include "chain/table.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Whether a step multiplies by the scale of the vector two steps before (eq. 9). A segment has an even number
// of steps, so that the parity of a step in its segment is that in the sweep.
PYBERT_CRF_INLINE bool is_scaled(std::ptrdiff_t step) {
  return step % 2 == 1;
}

// The scale that a step multiplies by; its exponent is subtracted from that of the sweep.
template <class Lanes>
PYBERT_CRF_INLINE typename Lanes::Work scale_of_step(const Segment<Lanes>& segment, std::ptrdiff_t step,
                                                     Scaling<Lanes>& scaling) {
  if (!is_scaled(step)) return 1;
  const typename Lanes::Work scale = segment.scales[step - 1];
  scaling.exponent -= exponent_of(scale);
  return scale;
}

// Phase 2, the end of a step for one block of tags: the vector, times the emission and the scale.
template <class Lanes>
PYBERT_CRF_INLINE void apply_emission(const Segment<Lanes>& segment, std::ptrdiff_t step,
                                      std::ptrdiff_t block, std::ptrdiff_t padded,
                                      const typename Lanes::Values& reached,
                                      const typename Lanes::Values& scale, typename Lanes::Values& least,
                                      typename Lanes::Values& peak) {
  const std::ptrdiff_t at = step * padded + block;
  const auto value = reached * (Lanes::load(segment.emitted + step * segment.stride + block) * scale);
  Lanes::store(segment.vectors + padded + at, value);
  Lanes::store(segment.reached + at, reached);
  least = Lanes::least_positive(least, value);
  peak = Lanes::max(value, peak);
}

// Phase 2, one step (eq. 9, 10): vectors[step + 1] = (vectors[step] W) * emitted[step] * scale.
template <class Lanes, bool OneBlock>
PYBERT_CRF_INLINE void advance(const Weights<Lanes>& weights, bool at_boundary, std::ptrdiff_t step,
                               Sweep<Lanes>& sweep) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const auto* vector = sweep.segment.vectors + step * padded;
  const Values scale = Lanes::all(scale_of_step(sweep.segment, step, sweep.scaling));
  Values peak = Lanes::all(0);
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const Values reached = at_boundary ? Lanes::load(weights.boundary[sweep.start] + block)
                                       : propagate(weights.shape, vector, weights.table[sweep.start], block);
    apply_emission(sweep.segment, step, block, padded, reached, scale, sweep.scaling.least, peak);
  }
  Lanes::sync();
  Lanes::store_one(sweep.segment.scales + step + 1, scale_to_one(Lanes::greatest(peak)));
}

// The steps first..stop-1, none of them at a boundary, of sweeps whose tags fill one block: what changes from
// step to step stays in registers. Of several sweeps, the even ones come from one end and the odd ones from
// the other.
template <class Lanes, class Table, int number>
PYBERT_CRF_FUNCTION void advance_block(const Weights<Lanes>& weights, Sweep<Lanes>* const (&sweeps)[number],
                                       std::ptrdiff_t first, std::ptrdiff_t stop) {
  using Values = typename Lanes::Values;
  const Table tables[2] = {{weights.shape, weights.table[sweeps[0]->start]},
                           {weights.shape, weights.table[sweeps[number - 1]->start]}};
  Segment<Lanes> segments[number];
  Scaling<Lanes> scalings[number];
  PYBERT_CRF_UNROLL
  for (int h = 0; h < number; ++h) {
    segments[h] = sweeps[h]->segment;
    scalings[h] = sweeps[h]->scaling;
  }
  for (std::ptrdiff_t step = first; step < stop; ++step) {
    PYBERT_CRF_UNROLL
    for (int h = 0; h < number; ++h) {
      const Values reached = tables[h % 2].sum(segments[h].vectors + step * Lanes::width, 0);
      const Values scale = Lanes::all(scale_of_step(segments[h], step, scalings[h]));
      Values peak = Lanes::all(0);
      apply_emission(segments[h], step, 0, Lanes::width, reached, scale, scalings[h].least, peak);
      Lanes::sync();
      Lanes::store_one(segments[h].scales + step + 1, scale_to_one(Lanes::greatest(peak)));
    }
  }
  PYBERT_CRF_UNROLL
  for (int h = 0; h < number; ++h) sweeps[h]->scaling = scalings[h];
}

// How many rows of many tags are advanced step by step together, so that a table too large for the first
// cache is read once for all of them.
constexpr int rows_together = 4;

// One step of so many sweeps from the same end.
template <class Lanes>
PYBERT_CRF_INLINE void advance_together(const Weights<Lanes>& weights, std::ptrdiff_t step,
                                        Sweep<Lanes>* const (&sweeps)[rows_together]) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = weights.shape.padded;
  const typename Lanes::Element* vectors[rows_together];
  Values scales[rows_together];
  Values peaks[rows_together];
  PYBERT_CRF_UNROLL
  for (int h = 0; h < rows_together; ++h) {
    vectors[h] = sweeps[h]->segment.vectors + step * padded;
    scales[h] = Lanes::all(scale_of_step(sweeps[h]->segment, step, sweeps[h]->scaling));
    peaks[h] = Lanes::all(0);
  }
  const auto* row = weights.table[sweeps[0]->start];
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
      apply_emission(sweeps[h]->segment, step, block, padded, sums[h], scales[h], sweeps[h]->scaling.least,
                     peaks[h]);
  }
  Lanes::sync();
  PYBERT_CRF_UNROLL
  for (int h = 0; h < rows_together; ++h)
    Lanes::store_one(sweeps[h]->segment.scales + step + 1, scale_to_one(Lanes::greatest(peaks[h])));
}

// The steps first..stop-1 of sweeps that have done equally many; `at_boundary`: `first` is the first step of
// a row.
template <class Lanes, bool OneBlock, int number>
PYBERT_CRF_FUNCTION void advance_all(const Weights<Lanes>& weights, Sweep<Lanes>* const (&sweeps)[number],
                                     std::ptrdiff_t first, std::ptrdiff_t stop, bool at_boundary) {
  if (at_boundary && first < stop) {
    PYBERT_CRF_UNROLL
    for (Sweep<Lanes>* sweep : sweeps) advance<Lanes, OneBlock>(weights, true, first, *sweep);
    ++first;
  }
  if (first >= stop) return;
  if constexpr (OneBlock && Lanes::keeps_table) {
    constexpr int few = Lanes::partials;
    if (weights.shape.rows == few) {
      advance_block<Lanes, TableInRegisters<Lanes, few>>(weights, sweeps, first, stop);
    } else {
      advance_block<Lanes, TableInRegisters<Lanes, Lanes::width>>(weights, sweeps, first, stop);
    }
  } else if constexpr (OneBlock) {
    advance_block<Lanes, TableInMemory<Lanes>>(weights, sweeps, first, stop);
  } else {
    for (std::ptrdiff_t step = first; step < stop; ++step) {
      if constexpr (number == rows_together) {
        advance_together(weights, step, sweeps);
      } else {
        PYBERT_CRF_UNROLL
        for (Sweep<Lanes>* sweep : sweeps) advance<Lanes, OneBlock>(weights, false, step, *sweep);
      }
    }
  }
}

PYBERT_CRF_INLINE std::ptrdiff_t lesser(std::ptrdiff_t a, std::ptrdiff_t b) {
  return a < b ? a : b;
}

// Does all steps of `number` sweeps, a segment at a time: begin(sweep, first, count) before the recursion and
// finish(sweep, first, count) after it. With few tags the sweeps are those from the two ends of one row or of
// two: they are advanced step by step together, so that one works while the sums of the others are under way.
// With many tags four sweeps are those from the same end of four rows.
template <class Lanes, bool OneBlock, int number, class AnySweep, class Begin, class Finish>
PYBERT_CRF_FUNCTION void run_sweeps(const Weights<Lanes>& weights, AnySweep* const (&sweeps)[number],
                                    bool from_boundary, Begin begin, Finish finish) {
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : weights.shape.padded;
  const std::ptrdiff_t steps = Segment<Lanes>::steps(weights.shape);
  Sweep<Lanes>* bases[number];
  std::ptrdiff_t longest = 0;
  PYBERT_CRF_UNROLL
  for (int s = 0; s < number; ++s) {
    bases[s] = sweeps[s];
    longest = sweeps[s]->count > longest ? sweeps[s]->count : longest;
  }
  for (std::ptrdiff_t first = 0; first < longest; first += steps) {
    std::ptrdiff_t together = number > 1 ? steps : 0;
    PYBERT_CRF_UNROLL_ON_GPU
    for (AnySweep* sweep : sweeps) {
      const std::ptrdiff_t count = lesser(steps, sweep->count - first);
      if (count > 0) begin(*sweep, first, count);
      together = lesser(together, count > 0 ? count : 0);
    }
    advance_all<Lanes, OneBlock>(weights, bases, 0, together, from_boundary && first == 0);
    PYBERT_CRF_UNROLL_ON_GPU
    for (AnySweep* sweep : sweeps) {
      const std::ptrdiff_t count = lesser(steps, sweep->count - first);
      Sweep<Lanes>* const alone[] = {sweep};
      advance_all<Lanes, OneBlock>(weights, alone, together, count,
                                   from_boundary && first == 0 && together == 0);
      if (count <= 0) continue;
      Lanes::sync();
      finish(*sweep, first, count);
      Lanes::sync();
      // The last vector becomes the first of the next segment.
      for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
        Lanes::store(sweep->segment.vectors + block,
                     Lanes::load(sweep->segment.vectors + count * padded + block));
      const typename Lanes::Work scale = sweep->segment.scales[count];
      Lanes::sync();
      Lanes::store_one(sweep->segment.scales, scale);
      Lanes::sync();
    }
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
