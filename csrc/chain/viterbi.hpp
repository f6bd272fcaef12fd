// The Viterbi algorithm (Viterbi 1967; Forney 1973): the best path, by the same recursion with max for the
// sum. docs/crf.md, eq. 21 to 23.
//
// No back-pointers are kept: a step takes one addition and one maximum a pair of tags. The way back finds,
// for the one tag it stands on, the lowest tag before it that attains the maximum, by the same additions. So
// ties go to the lowest tag, at the last position and at each step back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// max_i vector[i] + table[i, block]
template <class Lanes>
PYBERT_CRF_INLINE typename Lanes::Values max_step(const Shape<Lanes>& shape,
                                                  const typename Lanes::Work* vector,
                                                  const typename Lanes::Work* table, std::ptrdiff_t block) {
  using Values = typename Lanes::Values;
  constexpr std::ptrdiff_t width = Lanes::width;
  const typename Lanes::Work* row = table + block * shape.rows;
  const typename Lanes::Work* const end = row + shape.rows * width;
  const Values nothing = Lanes::all(-std::numeric_limits<typename Lanes::Work>::infinity());
  Values best[4] = {nothing, nothing, nothing, nothing};
  for (; row != end; row += Lanes::partials * width, vector += Lanes::partials) {
    best[0] = Lanes::max(Lanes::all(vector[0]) + Lanes::load(row), best[0]);
    if constexpr (Lanes::partials > 1)
      best[1] = Lanes::max(Lanes::all(vector[1]) + Lanes::load(row + width), best[1]);
    if constexpr (Lanes::partials > 2) {
      best[2] = Lanes::max(Lanes::all(vector[2]) + Lanes::load(row + 2 * width), best[2]);
      best[3] = Lanes::max(Lanes::all(vector[3]) + Lanes::load(row + 3 * width), best[3]);
    }
  }
  if constexpr (Lanes::partials == 1) return best[0];
  if constexpr (Lanes::partials == 2) return Lanes::max(best[0], best[1]);
  return Lanes::max(Lanes::max(best[0], best[1]), Lanes::max(best[2], best[3]));
}

// The lowest tag i with vector[i] + scores[i, block] == sum; 0 if there is none, which NaN makes.
template <class Lanes>
PYBERT_CRF_INLINE std::ptrdiff_t first_equal(std::ptrdiff_t padded, const typename Lanes::Work* vector,
                                             const typename Lanes::Work* scores, std::ptrdiff_t stride,
                                             typename Lanes::Work sum) {
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const std::ptrdiff_t lane =
        Lanes::first_equal(Lanes::load(vector + block) + Lanes::load(scores + block * stride), sum);
    if (lane < Lanes::width) return block + lane;
  }
  return 0;
}

// What best_path works in, (length, padded) each.
template <class Work>
struct ViterbiScratch {
  Work* vectors;  // the scores of the best prefixes, relative to those of two steps before
  Work* reached;  // the same without the last emission: the maxima that the way back looks for
};

// The best path of a row of at least one position: step(i, tag) from the last position to the first. Where no
// path is legal, some path. Returns whether there was NaN on any path.
template <class Lanes, bool OneBlock, class Real, class Step>
bool best_path(const Scores<Lanes>& scores, const Row<Real>& row,
               const ViterbiScratch<typename Lanes::Work>& scratch, Step step) {
  using Work = typename Lanes::Work;
  using Values = typename Lanes::Values;
  constexpr Work nothing = -std::numeric_limits<Work>::infinity();
  const Shape<Lanes>& shape = scores.shape;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  Values nan = Lanes::all(0);
  // What a step takes off keeps the scores near 0. It comes from the step before the last, so that finding it
  // is off the chain of dependent operations: that step's maximum, less what the last step took off already.
  Work offset = 0;
  Work next_offset = 0;
  const Work* vector = scratch.vectors;
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    const Real* emission = row.emission(i);
    Work* const after = scratch.vectors + i * padded;
    Work* const maxima = scratch.reached + i * padded;
    Values greatest = Lanes::all(nothing);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
      const Values emitted = Lanes::load_some(emission + block, shape.tags - block);
      nan = Lanes::keep_nan(nan, emitted);
      const Values relative = (emitted + Lanes::load(scores.beyond + block)) - Lanes::all(offset);
      const Values reached = i == 0 ? Lanes::load(scores.boundary[left] + block)
                                    : max_step(shape, vector, scores.table[left], block);
      const Values value = reached + relative;
      Lanes::store(maxima + block, reached);
      Lanes::store(after + block, value);
      greatest = Lanes::max(value, greatest);
    }
    Lanes::sync();
    const Work highest = Lanes::greatest(greatest);
    const Work taken = next_offset;
    offset = next_offset;
    next_offset = highest > nothing ? highest - taken : 0;
    vector = after;
  }
  Values best = Lanes::all(nothing);
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
    best = Lanes::max(Lanes::load(vector + block) + Lanes::load(scores.boundary[right] + block), best);
  std::ptrdiff_t tag = first_equal<Lanes>(padded, vector, scores.boundary[right], 1, Lanes::greatest(best));
  step(row.length - 1, tag);
  for (std::ptrdiff_t i = row.length - 1; i > 0; --i) {
    tag = first_equal<Lanes>(padded, scratch.vectors + (i - 1) * padded,
                             scores.table[right] + tag * Lanes::width, shape.rows,
                             scratch.reached[i * padded + tag]);
    step(i - 1, tag);
  }
  return Lanes::any_nan(nan) || scores.broken_boundary || (row.length > 1 && scores.broken);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
