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
                                                  const typename Lanes::Cell* vector,
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

// max_step of the transitions where they lie.
template <class Lanes>
struct TableInMemory {
  const Scores<Lanes>& scores;

  PYBERT_CRF_INLINE typename Lanes::Values step(const typename Lanes::Cell* vector,
                                                std::ptrdiff_t block) const {
    return max_step(scores.shape, vector, scores.table[left], block);
  }
};

// The same of transitions that fit the registers (Lanes::keeps_table), for many steps.
template <class Lanes>
struct TableInRegisters {
  using Values = typename Lanes::Values;

  Values rows[Lanes::width];

  explicit TableInRegisters(const Scores<Lanes>& scores) {
    const Values nothing = Lanes::all(-std::numeric_limits<typename Lanes::Work>::infinity());
    PYBERT_CRF_UNROLL
    for (int i = 0; i < Lanes::width; ++i)
      rows[i] = i < scores.shape.rows ? Lanes::load(scores.table[left] + i * Lanes::width) : nothing;
  }

  PYBERT_CRF_INLINE Values step(const typename Lanes::Cell* vector, std::ptrdiff_t) const {
    Values best[Lanes::width];
    PYBERT_CRF_UNROLL
    for (int i = 0; i < Lanes::width; ++i) best[i] = Lanes::all(vector[i]) + rows[i];
    PYBERT_CRF_UNROLL
    for (int half = Lanes::width / 2; half > 0; half /= 2) PYBERT_CRF_UNROLL
    for (int i = 0; i < half; ++i) best[i] = Lanes::max(best[i], best[i + half]);
    return best[0];
  }
};

// The lowest tag i with vector[i] + scores[i, block] == sum; 0 if there is none, which NaN makes.
template <class Lanes>
PYBERT_CRF_INLINE std::ptrdiff_t first_equal(std::ptrdiff_t padded, const typename Lanes::Cell* vector,
                                             const typename Lanes::Work* scores, std::ptrdiff_t stride,
                                             typename Lanes::Work sum) {
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const std::ptrdiff_t lane =
        Lanes::first_equal(Lanes::load(vector + block) + Lanes::load(scores + block * stride), sum);
    if (lane < Lanes::width) return block + lane;
  }
  return 0;
}

// What BestPath works in, (length, padded) each.
template <class Cell>
struct ViterbiScratch {
  Cell* vectors;  // the scores of the best prefixes, relative to those of two steps before
  Cell* reached;  // the same without the last emission: the maxima that the way back looks for
};

// The best path of a row of at least one position: forward(i, table) from the first position to the last,
// turn(), then backward(i) from the last but one to the first; `tag` is the path's at the position last
// turned or gone back to. Where no path is legal, some path. A step depends on the one before; steps of
// several rows in turn keep the machine busy.
template <class Lanes, bool OneBlock, class Real>
class BestPath {
 public:
  using Work = typename Lanes::Work;
  using Cell = typename Lanes::Cell;
  using Values = typename Lanes::Values;

  std::ptrdiff_t tag = 0;

  PYBERT_CRF_FUNCTION BestPath(const Scores<Lanes>& scores, const Row<Real>& row,
                               const ViterbiScratch<Cell>& scratch)
      : scores_(&scores), row_(row), scratch_(scratch), vector_(scratch.vectors) {}

  template <class Table>
  PYBERT_CRF_INLINE void forward(std::ptrdiff_t i, const Table& table) {
    Cell* const after = scratch_.vectors + i * padded();
    Cell* const maxima = scratch_.reached + i * padded();
    Values greatest = Lanes::all(nothing);
    for (std::ptrdiff_t block = 0; block < padded(); block += Lanes::width) {
      const Values emitted = row_.template emissions<Lanes>(i, block);
      nan_ = Lanes::keep_nan(nan_, emitted);
      const Values relative = (emitted + Lanes::load(scores_->beyond + block)) - Lanes::all(offset_);
      const Values reached =
          i == 0 ? Lanes::load(scores_->boundary[left] + block) : table.step(vector_, block);
      const Values value = reached + relative;
      Lanes::store(maxima + block, reached);
      Lanes::store(after + block, value);
      greatest = Lanes::max(value, greatest);
    }
    Lanes::sync();
    const Work highest = Lanes::greatest(greatest);
    const Work taken = next_offset_;
    offset_ = next_offset_;
    next_offset_ = highest > nothing ? highest - taken : 0;
    vector_ = after;
  }

  PYBERT_CRF_INLINE void turn() {
    Values best = Lanes::all(nothing);
    for (std::ptrdiff_t block = 0; block < padded(); block += Lanes::width)
      best = Lanes::max(Lanes::load(vector_ + block) + Lanes::load(scores_->boundary[right] + block), best);
    tag = first_equal<Lanes>(padded(), vector_, scores_->boundary[right], 1, Lanes::greatest(best));
  }

  PYBERT_CRF_INLINE void backward(std::ptrdiff_t i) {
    tag = first_equal<Lanes>(padded(), scratch_.vectors + i * padded(),
                             scores_->table[right] + tag * Lanes::width, scores_->shape.rows,
                             scratch_.reached[(i + 1) * padded() + tag]);
  }

  // Whether there was NaN on any path.
  PYBERT_CRF_INLINE bool met_nan() const {
    return Lanes::any_nan(nan_) || scores_->broken_boundary || (row_.length > 1 && scores_->broken);
  }

 private:
  static constexpr Work nothing = -std::numeric_limits<Work>::infinity();

  PYBERT_CRF_INLINE std::ptrdiff_t padded() const { return OneBlock ? Lanes::width : scores_->shape.padded; }

  const Scores<Lanes>* scores_;
  Row<Real> row_;
  ViterbiScratch<Cell> scratch_;
  const Cell* vector_;
  Values nan_ = Lanes::all(0);
  // What a step takes off keeps the scores near 0. It comes from the step before the last, so that finding it
  // is off the chain of dependent operations: that step's maximum, less what the last step took off already.
  Work offset_ = 0;
  Work next_offset_ = 0;
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
