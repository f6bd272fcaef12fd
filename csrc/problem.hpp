// The problem as plain structs: what goes into the operations of operations.hpp and what comes out.
//
// A batch of linear chains: for each row, the chain is the sequence of its unmasked positions t1..tn in
// order (gaps, left padding and empty rows are legal), and a path y has the score
//     start[y1] + sum_i emissions[ti, yi] + sum_{i>1} transitions[y_{i-1}, yi] + end[yn]    (eq. 1).
// Emissions at masked positions are never read. Scores of -inf forbid; +inf and NaN are the caller's bug.
// The algorithms are described in docs/crf/theory.md and docs/crf/numbers.md, whose equations, numbered
// through both, the code cites as "eq. n".
#pragma once

#include <cstddef>
#include <cstdint>

#include "compiler.hpp"

namespace pybert_crf {

// A non-owning view of an array: an address, and the stride of each axis in elements.
template <class T, int Rank>
struct View {
  T* data;
  std::ptrdiff_t stride[Rank];

  template <class... Index>
  PYBERT_CRF_INLINE T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == Rank, "one index for each axis");
    const std::ptrdiff_t at[Rank] = {static_cast<std::ptrdiff_t>(index)...};
    std::ptrdiff_t offset = 0;
    for (int axis = 0; axis < Rank; ++axis) offset += at[axis] * stride[axis];
    return data[offset];
  }

  // The sub-view with the first axis fixed.
  PYBERT_CRF_INLINE View<T, Rank - 1> operator[](std::ptrdiff_t index) const {
    View<T, Rank - 1> inner{data + index * stride[0], {}};
    for (int axis = 1; axis < Rank; ++axis) inner.stride[axis - 1] = stride[axis];
    return inner;
  }
};

template <class Real>
struct Chains {
  std::ptrdiff_t batch;
  std::ptrdiff_t time;
  std::ptrdiff_t tags;               // at least 1
  View<const Real, 3> emissions;     // (batch, time, tags)
  View<const std::uint8_t, 2> mask;  // (batch, time), 0 or 1
  View<const Real, 1> start;         // (tags)
  View<const Real, 2> transitions;   // (tags, tags): from row to column
  View<const Real, 1> end;           // (tags)
};

// Tags of given paths, (batch, time), read only where the mask is on; null data if no paths are given.
using Paths = View<const std::int64_t, 2>;

// Arrays of outputs without strides are contiguous.
template <class Real>
struct LogPartition {
  Real* value;     // (batch): log_z, or where paths are given their log-likelihood, score - log_z
  Real* log_z;     // (batch): log of the sum over all paths of exp(score); 0 for an empty row, -inf where no
                   // path is legal
  Real* messages;  // (batch, time, tags): what `gradient` needs; see chain/scaled.hpp
};

// Gradient of sum_b grad[b] * value[b]: expected counts of each tag and each pair of tags (where paths are
// given, their own counts minus those); a row without a legal path adds nothing.
template <class Real>
struct Gradient {
  Real* emissions;    // (batch, time, tags); 0 where masked
  Real* start;        // (tags)
  Real* transitions;  // (tags, tags)
  Real* end;          // (tags)
};

template <class Real>
struct BestPaths {
  std::ptrdiff_t count;  // k
  std::int64_t* tags;    // (k, batch, time); -1 where masked, and beyond the number of legal paths
  Real* scores;          // (k, batch), best first; 0 for an empty row, -inf beyond the number of legal paths
};

struct Samples {
  std::ptrdiff_t count;            // n
  View<const double, 3> uniforms;  // (n, batch, time), in [0, 1)
  std::int64_t* tags;              // (n, batch, time); -1 where masked, and in a row without a legal path
};

}  // namespace pybert_crf
