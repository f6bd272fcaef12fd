// The problem as plain structs, and the operations that every compiled backend offers.
//
// A batch of linear chains: for each row, the chain is the sequence of its unmasked positions t1..tn in
// order (gaps, left padding and empty rows are legal), and a path y has the score
//     start[y1] + sum_i emissions[ti, yi] + sum_{i>1} transitions[y_{i-1}, yi] + end[yn]    (eq. 1).
// Emissions at masked positions are never read. Scores of -inf forbid; +inf and NaN are the caller's bug.
// The algorithms are described in docs/crf.md, whose equations the code cites as "eq. n".
#pragma once

#include <cstddef>
#include <cstdint>

// Code that is compiled once for each instruction set stands in a namespace of that set's name, so that the
// linker never takes a function of one for that of another; what is shared is always inlined.
#ifndef PYBERT_CRF_TARGET
#define PYBERT_CRF_TARGET baseline
#endif
#if defined(__CUDACC__)
#define PYBERT_CRF_FUNCTION __host__ __device__
#else
#define PYBERT_CRF_FUNCTION
#endif
#if defined(__CUDACC__)
#define PYBERT_CRF_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
#define PYBERT_CRF_INLINE inline __attribute__((always_inline))
#else
#define PYBERT_CRF_INLINE inline
#endif

// Before a loop over the registers of a group, which must not remain a loop: an array that is indexed at run
// time is not kept in registers.
#if defined(__clang__) || defined(__CUDACC__)
#define PYBERT_CRF_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PYBERT_CRF_UNROLL _Pragma("GCC unroll 16")
#else
#define PYBERT_CRF_UNROLL
#endif

namespace pybert_crf {

// Somebody else's memory: an address and one stride for each axis, counted in elements.
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

// Given paths, (batch, time); read only where the mask is on. No data: none are given.
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

// Results are the same bits for every number of threads.
namespace cpu {

// The operations of one instruction set, for one type of numbers.
template <class Real>
struct Operations {
  // Returns the flat index of the first unmasked tag that is none, or -1; then nothing else is done.
  std::ptrdiff_t (*log_partition)(const Chains<Real>&, const Paths&, const LogPartition<Real>&, int threads);
  void (*gradient)(const Chains<Real>&, const Paths&, const Real* grad, const Real* messages,
                   const Real* log_z, const Gradient<Real>&, int threads);
  // Both at once, each row's gradient while its messages are at hand: `value` (batch) as log_partition's,
  // the same bits as by the two. Returns as log_partition.
  std::ptrdiff_t (*value_and_gradient)(const Chains<Real>&, const Paths&, const Real* grad, Real* value,
                                       const Gradient<Real>&, int threads);
  void (*viterbi)(const Chains<Real>&, const BestPaths<Real>&, int threads);
  void (*k_best)(const Chains<Real>&, const BestPaths<Real>&, int threads);
  // (batch, time, tags): log-scores of the prefixes ending in each tag, relative at each position to the
  // greatest of them; 0 where masked.
  void (*log_alphas)(const Chains<Real>&, Real* alphas, int threads);
  void (*sample)(const Chains<Real>&, const Samples&, int threads);
};

// Those of the widest instruction set that this machine has and that was compiled, or of the one that the
// environment variable PYBERT_CRF_ISA names (baseline, avx2, avx512).
template <class Real>
const Operations<Real>& operations();

const char* instruction_set();

}  // namespace cpu
}  // namespace pybert_crf
