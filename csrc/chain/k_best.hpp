// The k best paths: the Viterbi recursion over sorted lists of k prefixes a tag. docs/crf/theory.md, eq. 24.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/path_score.hpp"
#include "chain/row.hpp"
#include "lanes/math.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Where a prefix came from: the tag before, and its rank among the prefixes that end in that.
struct Origin {
  std::uint32_t tag;
  std::uint32_t rank;
};

// Working memory for a row: lists of k for each tag.
template <class Lanes>
struct KBestScratch {
  typename Lanes::Element* before;  // (tags, k), best first
  typename Lanes::Element* after;   // (tags, k)
  Origin* origins;                  // (length, tags, k)
};

// Inserts a candidate into a sorted list of k, after those of equal score: candidates from lower tags come
// first and stay first.
template <class Element>
PYBERT_CRF_INLINE void insert(double score, Origin origin, std::ptrdiff_t k, Element* list, Origin* origins) {
  if (!(score > list[k - 1])) return;
  std::ptrdiff_t at = k - 1;
  for (; at > 0 && score > list[at - 1]; --at) {
    list[at] = list[at - 1];
    origins[at] = origins[at - 1];
  }
  list[at] = score;
  origins[at] = origin;
}

// The k best paths of a row of at least one position: step(rank, i, tag) for the tags of each legal one, best
// first, from its last position to its first. In double, relative to each step's greatest score.
template <class Lanes, class Real, class Step>
PYBERT_CRF_FUNCTION void k_best_paths(const Chains<Real>& chains, const Row<Real>& row, std::ptrdiff_t k,
                                      KBestScratch<Lanes> scratch, Step step) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  const std::ptrdiff_t tags = row.tags;
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    Origin* origins = scratch.origins + i * tags * k;
    Lanes::each(tags, [&](std::ptrdiff_t j) {
      auto* list = scratch.after + j * k;
      for (std::ptrdiff_t rank = 0; rank < k; ++rank) list[rank] = nothing;
      if (i == 0) {
        list[0] = static_cast<double>(chains.start(j));
      } else {
        for (std::ptrdiff_t from = 0; from < tags; ++from) {
          const auto transition = static_cast<double>(chains.transitions(from, j));
          for (std::ptrdiff_t rank = 0; rank < k; ++rank) {
            const double score = scratch.before[from * k + rank] + transition;
            if (!(score > list[k - 1])) break;  // those of lower rank score no more
            insert(score, {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(rank)}, k, list,
                   origins + j * k);
          }
        }
      }
      const auto emission = static_cast<double>(row.emission(i, j));
      for (std::ptrdiff_t rank = 0; rank < k; ++rank) list[rank] = list[rank] + emission;
    });
    const double top =
        Lanes::greatest_of(tags, [&](std::ptrdiff_t j) -> double { return scratch.after[j * k]; });
    if (top > nothing)
      Lanes::each(tags, [&](std::ptrdiff_t j) {
        for (std::ptrdiff_t at = j * k; at < (j + 1) * k; ++at) scratch.after[at] = scratch.after[at] - top;
      });
    Lanes::sync();
    auto* const before = scratch.before;
    scratch.before = scratch.after;
    scratch.after = before;
  }
  // The ends of the best k paths: one more list, whose origins take the place of those of the first position,
  // which are not needed.
  auto* ends = scratch.after;
  Origin* origins = scratch.origins;
  Lanes::in_lane_of(0, [&] {
    for (std::ptrdiff_t rank = 0; rank < k; ++rank) ends[rank] = nothing;
    for (std::ptrdiff_t from = 0; from < tags; ++from)
      for (std::ptrdiff_t rank = 0; rank < k; ++rank)
        insert(scratch.before[from * k + rank] + static_cast<double>(chains.end(from)),
               {static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(rank)}, k, ends, origins);
  });
  Lanes::sync();
  Lanes::each(k, [&](std::ptrdiff_t rank) {
    if (!(ends[rank] > nothing)) return;
    Origin at = origins[rank];
    for (std::ptrdiff_t i = row.length - 1; i >= 0; --i) {
      step(rank, i, static_cast<std::ptrdiff_t>(at.tag));
      if (i > 0) at = scratch.origins[(i * tags + at.tag) * k + at.rank];
    }
  });
  Lanes::sync();
}

// Whether NaN or +inf is among the scores that a row reads.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION bool reads_nan(const Chains<Real>& chains, const Row<Real>& row) {
  return Lanes::any_of(row.tags, [&](std::ptrdiff_t j) {
    bool nan = is_nan_or_inf(chains.start(j)) || is_nan_or_inf(chains.end(j)) || row.emits_nan(j);
    for (std::ptrdiff_t to = 0; row.length > 1 && to < row.tags; ++to)
      nan |= is_nan_or_inf(chains.transitions(j, to));
    return nan;
  });
}

// The k best paths of a row of a batch, as BestPaths has them; NaN for their scores, and no paths, if it
// reads NaN or +inf.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void k_best_of_row(const Chains<Real>& chains, const Row<Real>& row,
                                       const BestPaths<Real>& out, const KBestScratch<Lanes>& scratch) {
  const std::ptrdiff_t k = out.count;
  const auto path = [&](std::ptrdiff_t rank) {
    return out.tags + (rank * chains.batch + row.index) * chains.time;
  };
  Lanes::each(k, [&](std::ptrdiff_t rank) {
    for (std::ptrdiff_t t = 0; t < chains.time; ++t) path(rank)[t] = -1;
  });
  if (row.length > 0 && reads_nan<Lanes>(chains, row)) {
    Lanes::each(k, [&](std::ptrdiff_t rank) {
      out.scores[rank * chains.batch + row.index] = std::numeric_limits<Real>::quiet_NaN();
    });
    return;
  }
  if (row.length > 0)
    k_best_paths<Lanes>(chains, row, k, scratch,
                        [&](std::ptrdiff_t rank, std::ptrdiff_t i, std::ptrdiff_t tag) {
                          path(rank)[row.positions[i]] = tag;
                        });
  for (std::ptrdiff_t rank = 0; rank < k; ++rank) {
    double score = -std::numeric_limits<double>::infinity();
    if (row.length == 0 ? rank == 0 : path(rank)[row.positions[0]] >= 0)  // an empty row has one path
      score = path_score<Lanes>(chains, row, [&](std::ptrdiff_t i) {
        return static_cast<std::ptrdiff_t>(path(rank)[row.positions[i]]);
      });
    Lanes::in_lane_of(rank, [&] { out.scores[rank * chains.batch + row.index] = static_cast<Real>(score); });
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
