// The problem as plain structs, and the operations that every compiled backend offers.
//
// A batch of linear chains: for each row, the chain is the sequence of its unmasked positions t1..tn in
// order (gaps, left padding and empty rows are legal), and a path y has the score
//     start[y1] + sum_i emissions[ti, yi] + sum_{i>1} transitions[y_{i-1}, yi] + end[yn].
// Emissions at masked positions are never read. Scores of -inf forbid; +inf and NaN are the caller's bug.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pybert_crf {

// Somebody else's memory: an address and one stride for each axis, counted in elements.
template <class T, int Rank>
struct View {
  T* data;
  std::ptrdiff_t stride[Rank];

  template <class... Index>
  T& operator()(Index... index) const {
    static_assert(sizeof...(Index) == Rank, "one index for each axis");
    const std::ptrdiff_t at[Rank] = {static_cast<std::ptrdiff_t>(index)...};
    std::ptrdiff_t offset = 0;
    for (int axis = 0; axis < Rank; ++axis) offset += at[axis] * stride[axis];
    return data[offset];
  }

  // The sub-view with the first axis fixed.
  View<T, Rank - 1> operator[](std::ptrdiff_t index) const {
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

// log_z: log of the sum over all paths of exp(score); 0 for an empty row, -inf where no path is legal.
// alphas: at each position the log-scores of the prefixes ending in each tag, relative to the largest of
// them, so that they stay exact however long the chain is; 0 where masked.
template <class Real>
struct LogPartition {
  View<Real, 1> log_z;   // (batch)
  View<Real, 3> alphas;  // (batch, time, tags)
};

// Gradient of sum_b grad[b] * log_z[b]: expected counts of each tag and each pair of tags;
// nothing is expected of a row without a legal path.
template <class Real>
struct LogPartitionGradient {
  View<Real, 3> emissions;    // (batch, time, tags); 0 where masked
  View<Real, 1> start;        // (tags)
  View<Real, 2> transitions;  // (tags, tags)
  View<Real, 1> end;          // (tags)
};

template <class Real>
struct BestPaths {
  View<std::int64_t, 2> tags;  // (batch, time); -1 where masked
  View<Real, 1> scores;        // (batch); 0 for an empty row, -inf where no path is legal
};

// Results are the same bits for every number of threads.
namespace cpu {

template <class Real>
void log_partition(const Chains<Real>& chains, const LogPartition<Real>& out, int threads);

template <class Real>
void log_partition_backward(const Chains<Real>& chains, View<const Real, 1> grad, View<const Real, 3> alphas,
                            const LogPartitionGradient<Real>& out, int threads);

template <class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int threads);

}  // namespace cpu
}  // namespace pybert_crf
