// The k best paths: the Viterbi recursion over sorted lists of k prefixes a tag. docs/crf.md, eq. 24.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Where a prefix came from: the tag before, and its rank among the prefixes that end in that.
struct Origin {
  std::uint32_t tag;
  std::uint32_t rank;
};

// Working memory for a row: lists of k for each tag.
struct KBestScratch {
  double* before;   // (tags, k), best first
  double* after;    // (tags, k)
  Origin* origins;  // (length, tags, k)
};

// Puts a candidate in its place in a sorted list of k; after those that are equal, so that of ties those that
// came first, from lower tags, stay first.
PYBERT_CRF_INLINE void insert(double score, Origin origin, std::ptrdiff_t k, double* list, Origin* origins) {
  if (!(score > list[k - 1])) return;
  std::ptrdiff_t at = k - 1;
  for (; at > 0 && score > list[at - 1]; --at) {
    list[at] = list[at - 1];
    origins[at] = origins[at - 1];
  }
  list[at] = score;
  origins[at] = origin;
}

// The k best paths of a row of at least one position: found(rank, score) for each legal one, best first, and
// step(rank, i, tag) for its tags. In double, relative to each step's greatest score.
template <class Real, class Found, class Step>
void k_best_paths(const Chains<Real>& chains, const Row<Real>& row, std::ptrdiff_t k, KBestScratch scratch,
                  Found found, Step step) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  const std::ptrdiff_t tags = row.tags;
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    const Real* emission = row.emission(i);
    Origin* origins = scratch.origins + i * tags * k;
    double top = nothing;
    for (std::ptrdiff_t j = 0; j < tags; ++j) {
      double* list = scratch.after + j * k;
      for (std::ptrdiff_t rank = 0; rank < k; ++rank) list[rank] = nothing;
      if (i == 0) {
        list[0] = static_cast<double>(chains.start(j));
      } else {
        for (std::ptrdiff_t from = 0; from < tags; ++from) {
          const auto transition = static_cast<double>(chains.transitions(from, j));
          for (std::ptrdiff_t rank = 0; rank < k; ++rank) {
            const double score = scratch.before[from * k + rank] + transition;
            if (!(score > list[k - 1])) break;  // those of lower rank are no better
            insert(score, {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(rank)}, k, list,
                   origins + j * k);
          }
        }
      }
      for (std::ptrdiff_t rank = 0; rank < k; ++rank) list[rank] += static_cast<double>(emission[j]);
      top = list[0] > top ? list[0] : top;
    }
    for (std::ptrdiff_t at = 0; top > nothing && at < tags * k; ++at) scratch.after[at] -= top;
    double* const before = scratch.before;
    scratch.before = scratch.after;
    scratch.after = before;
  }
  // The ends of the best k: a list like any other, whose origins go where those of no position were needed.
  double* ends = scratch.after;
  Origin* origins = scratch.origins;
  for (std::ptrdiff_t rank = 0; rank < k; ++rank) ends[rank] = nothing;
  for (std::ptrdiff_t from = 0; from < tags; ++from)
    for (std::ptrdiff_t rank = 0; rank < k; ++rank)
      insert(scratch.before[from * k + rank] + static_cast<double>(chains.end(from)),
             {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(rank)}, k, ends, origins);
  for (std::ptrdiff_t rank = 0; rank < k && ends[rank] > nothing; ++rank) {
    Origin at = origins[rank];
    for (std::ptrdiff_t i = row.length - 1; i >= 0; --i) {
      step(rank, i, static_cast<std::ptrdiff_t>(at.tag));
      if (i > 0) at = scratch.origins[(i * tags + at.tag) * k + at.rank];
    }
    found(rank);
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
