// The score of a given path, and its counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "chain/counts.hpp"
#include "chain/row.hpp"
#include "problem.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The tag of a given path at the i-th position of a row.
template <class Real>
struct GivenPath {
  const Paths& paths;
  const Row<Real>& row;

  PYBERT_CRF_INLINE std::ptrdiff_t operator()(std::ptrdiff_t i) const {
    return static_cast<std::ptrdiff_t>(paths(row.index, row.positions[i]));
  }
};

// In double: exact to one rounding however long the chain is (docs/crf/theory.md, eq. 1). tag(i) is the tag
// of the row's i-th position.
template <class Lanes, class Real, class Tag>
PYBERT_CRF_FUNCTION double path_score(const Chains<Real>& chains, const Row<Real>& row, Tag tag) {
  if (row.length == 0) return 0;
  const double steps = Lanes::sum_of(row.length, [&](std::ptrdiff_t i) {
    const std::ptrdiff_t next = tag(i);
    const auto entered = i == 0 ? chains.start(next) : chains.transitions(tag(i - 1), next);
    return static_cast<double>(entered) + static_cast<double>(row.emission(i, next));
  });
  return steps + static_cast<double>(chains.end(tag(row.length - 1)));
}

// Adds the counts of a given path, times `factor`; in each row of `counts` the lane that owns its tag.
template <class Lanes, class Real, class Tag>
PYBERT_CRF_FUNCTION void add_path(const Row<Real>& row, Tag tag, Real factor, Real* d_emissions,
                                  const Counts& counts) {
  if (row.length == 0) return;
  const std::ptrdiff_t tags = row.tags;
  const auto times = static_cast<double>(factor);
  std::ptrdiff_t previous = -1;
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    const std::ptrdiff_t next = tag(i);
    Lanes::in_lane_of(next, [&] { d_emissions[row.positions[i] * tags + next] += factor; });
    if (i > 0) Lanes::in_lane_of(previous, [&] { counts.direct[previous * tags + next] += times; });
    previous = next;
  }
  Lanes::in_lane_of(tag(0), [&] { counts.start[tag(0)] += times; });
  Lanes::in_lane_of(previous, [&] { counts.end[previous] += times; });
}

// The first position t of a row whose tag is unmasked and out of range; -1 if there is none.
PYBERT_CRF_INLINE std::ptrdiff_t find_wrong_tag(const View<const std::int64_t, 1>& path,
                                                const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time,
                                                std::ptrdiff_t tags) {
  const auto limit = static_cast<std::uint64_t>(tags);
  const std::uint64_t wrong = with_stride(path.stride[0], [&](auto path_stride) {
    return with_stride(mask.stride[0], [&](auto mask_stride) {
      std::uint64_t any = 0;
      for (std::ptrdiff_t t = 0; t < time; ++t)
        any |= mask.data[t * mask_stride] &
               std::uint64_t{static_cast<std::uint64_t>(path.data[t * path_stride]) >= limit};
      return any;
    });
  });
  for (std::ptrdiff_t t = 0; wrong && t < time; ++t)
    if (mask(t) && (path(t) < 0 || path(t) >= tags)) return t;
  return -1;
}

// The flat index of the first unmasked tag of a batch that is out of range; -1 if there is none.
template <class Real>
std::ptrdiff_t find_wrong_tag(const Chains<Real>& chains, const Paths& paths) {
  for (std::ptrdiff_t row = 0; paths.data != nullptr && row < chains.batch; ++row) {
    const std::ptrdiff_t wrong = find_wrong_tag(paths[row], chains.mask[row], chains.time, chains.tags);
    if (wrong >= 0) return row * chains.time + wrong;
  }
  return -1;
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
