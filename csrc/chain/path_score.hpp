// The score of a given path, and its counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "chain.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// In double: exact to one rounding however long the chain is (docs/crf.md, eq. 1). tag(i) is the tag of the
// row's i-th position.
template <class Real, class Tag>
double path_score(const Chains<Real>& chains, const Row<Real>& row, Tag tag) {
  if (row.length == 0) return 0;
  std::ptrdiff_t previous = tag(0);
  double score = static_cast<double>(chains.start(previous));
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    const std::ptrdiff_t next = tag(i);
    if (i > 0) score += static_cast<double>(chains.transitions(previous, next));
    score += static_cast<double>(row.scores(row.positions[i], next));
    previous = next;
  }
  return score + static_cast<double>(chains.end(previous));
}

// The first position t of a row whose tag is none of `tags`; -1 if there is none.
PYBERT_CRF_INLINE std::ptrdiff_t find_wrong_tag(const View<const std::int64_t, 1>& path,
                                                const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time,
                                                std::ptrdiff_t tags) {
  bool wrong = false;
  for (std::ptrdiff_t t = 0; t < time; ++t)
    wrong |= (mask(t) != 0) & (static_cast<std::uint64_t>(path(t)) >= static_cast<std::uint64_t>(tags));
  for (std::ptrdiff_t t = 0; wrong && t < time; ++t)
    if (mask(t) && (path(t) < 0 || path(t) >= tags)) return t;
  return -1;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
