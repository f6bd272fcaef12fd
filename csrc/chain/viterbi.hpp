// The Viterbi algorithm (Viterbi 1967; Forney 1973): the best path, by the same recursion with max for the
// sum. docs/crf/theory.md, eq. 21 to 23.
//
// No back-pointers are stored: a step takes one addition and one maximum a pair of tags. The backward pass
// finds, for the one tag of the path, the lowest tag before it that attains the maximum, by the same
// additions. So ties go to the lowest tag, at the last position and at each step back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/path_score.hpp"
#include "chain/row.hpp"
#include "chain/table.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The lowest tag i with vector[i] + scores[i, block] == sum. If there is none, 0: NaN and +inf, whose
// difference from itself is NaN, may leave no tag that equals the sum. It is never a lane beyond the last
// tag, since the scores are NaN there.
template <class Lanes>
PYBERT_CRF_INLINE std::ptrdiff_t first_equal(std::ptrdiff_t padded, const typename Lanes::Element* vector,
                                             const typename Lanes::Work* scores, std::ptrdiff_t stride,
                                             typename Lanes::Work sum) {
  if (padded == Lanes::width) return Lanes::first_equal(Lanes::load(vector) + Lanes::load(scores), sum, 0);
  std::ptrdiff_t tag = padded;
  for (std::ptrdiff_t block = 0; block < padded && tag == padded; block += Lanes::width) {
    const std::ptrdiff_t lane = Lanes::first_equal(
        Lanes::load(vector + block) + Lanes::load(scores + block * stride), sum, Lanes::width);
    if (lane < Lanes::width) tag = block + lane;
  }
  return tag < padded ? tag : 0;
}

// The best path of a row: start(table) at its first position, forward(i, table) from the second to the last,
// turn(), backward(i) from the last but one to the first, finish(). A step depends on the one before, so the
// steps of several rows in turn keep the machine busy. If no path is legal, the tags are in range and
// otherwise unspecified.
template <class Lanes, bool OneBlock, class Real>
class BestPath {
 public:
  using Work = typename Lanes::Work;
  using Element = typename Lanes::Element;
  using Values = typename Lanes::Values;

  // How many elements of memory the row needs.
  static PYBERT_CRF_INLINE std::ptrdiff_t memory_size(const Chains<Real>& chains, const Shape<Lanes>& shape) {
    return 2 * chains.time * shape.padded;
  }

  PYBERT_CRF_INLINE BestPath(const Chains<Real>& chains, const Scores<Lanes>& scores, const Row<Real>& row,
                             const BestPaths<Real>& out, Element* memory)
      : chains_(&chains),
        scores_(&scores),
        row_(row),
        tags_(out.tags + row.index * chains.time),
        score_(out.scores + row.index),
        vectors_(memory),
        reached_(memory + chains.time * scores.shape.padded),
        vector_(memory) {
    fill_masked<Lanes>(row, chains.time, 1, tags_, std::int64_t{-1});
  }

  template <class Table>
  PYBERT_CRF_INLINE void start(const Table& table) {
    step<true>(0, table);
  }

  template <class Table>
  PYBERT_CRF_INLINE void forward(std::ptrdiff_t i, const Table& table) {
    step<false>(i, table);
  }

  // The tag at the last position of a row that has one.
  PYBERT_CRF_INLINE void turn() {
    Values best = Lanes::all(nothing);
    for (std::ptrdiff_t block = 0; block < padded(); block += Lanes::width)
      best = Lanes::max(Lanes::load(vector_ + block) + Lanes::load(scores_->boundary[right] + block), best);
    store_tag(row_.length - 1,
              first_equal<Lanes>(padded(), vector_, scores_->boundary[right], 1, Lanes::greatest(best)));
  }

  PYBERT_CRF_INLINE void backward(std::ptrdiff_t i) {
    store_tag(
        i, first_equal<Lanes>(padded(), vectors_ + i * padded(), scores_->table[right] + tag_ * Lanes::width,
                              scores_->shape.rows, reached_[(i + 1) * padded() + tag_]));
  }

  // All that is left of a row whose first `done` forward steps are done, back to the position `stop`.
  template <class Table>
  PYBERT_CRF_INLINE void find_rest(const Table& table, std::ptrdiff_t done, std::ptrdiff_t stop) {
    const Rest rest = rest_of(*this, table, done, stop);
    tag_ = rest.tag;
    emitted_ = rest.emitted;
  }

  // The path's score: NaN if there is NaN or +inf on any path.
  PYBERT_CRF_INLINE void finish() const {
    Lanes::sync();
    const Row<Real> row = row_;
    const std::int64_t* const tags = tags_;
    const std::ptrdiff_t* const positions = row.positions;
    const double score = path_score<Lanes>(*chains_, row, [tags, positions](std::ptrdiff_t i) {
      return static_cast<std::ptrdiff_t>(tags[positions[i]]);
    });
    const bool nan = row.length > 0 && met_nan();
    Real* const to = score_;
    Lanes::in_lane_of(0,
                      [=] { *to = nan ? std::numeric_limits<Real>::quiet_NaN() : static_cast<Real>(score); });
  }

  PYBERT_CRF_INLINE std::ptrdiff_t length() const { return row_.length; }

 private:
  static constexpr Work nothing = -std::numeric_limits<Work>::infinity();

  PYBERT_CRF_INLINE std::ptrdiff_t padded() const { return OneBlock ? Lanes::width : scores_->shape.padded; }

  // What is needed after find_rest.
  struct Rest {
    std::ptrdiff_t tag;
    Values emitted;
  };

  // A function of its own, to which the path goes by value: a path that nothing points to stays in registers.
  template <class Table>
  static PYBERT_CRF_FUNCTION Rest rest_of(const BestPath from, const Table table, std::ptrdiff_t done,
                                          std::ptrdiff_t stop) {
    BestPath path = from;
    const std::ptrdiff_t length = path.row_.length;
    if (length > 0) {
      if (done == 0) path.start(table);
      for (std::ptrdiff_t i = done > 0 ? done : 1; i < length; ++i) path.forward(i, table);
      path.turn();
      for (std::ptrdiff_t i = length - 1; i > stop; --i) path.backward(i - 1);
    }
    return {path.tag_, path.emitted_};
  }

  template <bool first, class Table>
  PYBERT_CRF_INLINE void step(std::ptrdiff_t i, const Table& table) {
    Element* const after = vectors_ + i * padded();
    Element* const maxima = reached_ + i * padded();
    Values greatest = Lanes::all(nothing);
    for (std::ptrdiff_t block = 0; block < padded(); block += Lanes::width) {
      const Values emitted = row_.template emissions<Lanes>(i, block);
      emitted_ = emitted_ + emitted;
      const Values relative = (emitted + Lanes::load(scores_->padding + block)) - Lanes::all(offset_);
      const Values reached = first ? Lanes::load(scores_->boundary[left] + block) : table.max(vector_, block);
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

  // Whether NaN or +inf is among the scores of a row. A sum of emissions is NaN or +inf if one of them is: to
  // -inf, +inf adds up to NaN. So a step takes one addition for this, and each emission is read again only in
  // the rare row whose sum is NaN or +inf, which finite emissions may overflow to as well.
  PYBERT_CRF_INLINE bool met_nan() const {
    return scores_->boundary_has_nan || (row_.length > 1 && scores_->has_nan) ||
           (is_nan_or_inf(Lanes::sum(emitted_)) && emits_nan<Lanes>(row_));
  }

  PYBERT_CRF_INLINE void store_tag(std::ptrdiff_t i, std::ptrdiff_t tag) {
    tag_ = tag;
    std::int64_t* const to = tags_ + row_.positions[i];
    Lanes::in_lane_of(0, [=] { *to = tag; });
  }

  const Chains<Real>* chains_;
  const Scores<Lanes>* scores_;
  Row<Real> row_;
  std::int64_t* tags_;  // (time)
  Real* score_;
  Element*
      vectors_;  // (length, padded): the scores of the best prefixes, relative to those of two steps before
  Element* reached_;  // the same without the last emission: the maxima that the backward pass looks for
  const Element* vector_;
  std::ptrdiff_t tag_ = 0;          // at the last position that turn() or backward(i) came to
  Values emitted_ = Lanes::all(0);  // the sum of the emissions in each lane
  // What a step subtracts to keep the scores near 0: the maximum of two steps before, less what the last step
  // has subtracted already. A maximum of two steps before is not on the chain of dependent operations.
  Work offset_ = 0;
  Work next_offset_ = 0;
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
