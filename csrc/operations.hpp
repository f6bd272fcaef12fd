// The table of operations that the CPU and CUDA offer alike.
#pragma once

#include <cstddef>

#include "problem.hpp"

namespace pybert_crf {

// The operations for one type of numbers. The `Executor` says who does the work: cpu::Threads or
// cuda::Stream.
//
// On the CPU an operation returns the flat index of the first unmasked tag out of range, and does nothing
// else then, or -1. On a GPU, where such a tag stops the device with an assertion, it returns the bytes of
// workspace that it needs if the executor has none, and does nothing else; otherwise it enqueues its kernels
// and returns 0.
template <class Real, class Executor>
struct Operations {
  std::ptrdiff_t (*log_partition)(const Chains<Real>&, const Paths&, const LogPartition<Real>&,
                                  const Executor&);
  // `messages` and `log_z` are those of log_partition.
  std::ptrdiff_t (*gradient)(const Chains<Real>&, const Paths&, const Real* grad, const Real* messages,
                             const Real* log_z, const Gradient<Real>&, const Executor&);
  // Both at once, each row's gradient while its messages are in the cache: `value` (batch) as
  // log_partition's, the same bits as by the two.
  std::ptrdiff_t (*value_and_gradient)(const Chains<Real>&, const Paths&, const Real* grad, Real* value,
                                       const Gradient<Real>&, const Executor&);
  std::ptrdiff_t (*viterbi)(const Chains<Real>&, const BestPaths<Real>&, const Executor&);
  std::ptrdiff_t (*k_best)(const Chains<Real>&, const BestPaths<Real>&, const Executor&);
  // (batch, time, tags): log-scores of the prefixes ending in each tag, relative at each position to the
  // greatest of them; 0 where masked.
  std::ptrdiff_t (*log_alphas)(const Chains<Real>&, Real* alphas, const Executor&);
  std::ptrdiff_t (*sample)(const Chains<Real>&, const Samples&, const Executor&);
};

namespace cpu {

// Up to so many threads. The results are the same bits for every number.
struct Threads {
  int count;
};

// The operations of the widest instruction set that this machine has and that was compiled, or of the one
// that the environment variable PYBERT_CRF_ISA names (baseline, avx2, avx512).
template <class Real>
const Operations<Real, Threads>& operations();

// Those of a set by its name; null if this machine or this build lacks it.
template <class Real>
const Operations<Real, Threads>* operations_of(const char* set);

const char* instruction_set();

}  // namespace cpu

// Where the CUDA kernels are compiled. A call only enqueues kernels: it waits for nothing and allocates
// nothing, so that it can be captured in a CUDA graph. The same input gives the same bits every time. Throws
// std::runtime_error with CUDA's message if a launch fails.
namespace cuda {

// The most tags that a block of threads is made for.
constexpr std::ptrdiff_t most_tags = 1024;

struct Stream {
  int device;
  void* handle;     // a cudaStream_t
  void* workspace;  // memory of the device, or null to ask how much is needed
};

template <class Real>
const Operations<Real, Stream>& operations();

// How many devices there are; if 0, `why` is CUDA's message.
int device_count(const char** why);

}  // namespace cuda
}  // namespace pybert_crf
