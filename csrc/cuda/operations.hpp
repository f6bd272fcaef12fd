// The operations on a GPU, on its memory: cpu::Operations with a workspace and a stream.
//
// Every call only enqueues kernels and returns; it waits for nothing and allocates nothing, so that it can be
// captured in a CUDA graph. The same input gives the same bits every time.
#pragma once

#include <cstddef>

#include "chain.hpp"

namespace pybert_crf::cuda {

// The most tags that a block of threads is made for.
constexpr std::ptrdiff_t most_tags = 1024;

// Where a call runs. `workspace` is memory of the device, or null to ask how much is needed.
struct Place {
  int device;
  void* stream;  // a cudaStream_t
  void* workspace;
};

// Each operation enqueues its work and returns 0, or without a workspace does nothing and returns the bytes
// it needs. Throws std::runtime_error with CUDA's message where a launch fails. A tag that is none, where
// unmasked, stops the device with an assertion.
template <class Real>
struct ValueOperations {
  std::size_t (*log_partition)(const Chains<Real>&, const Paths&, const LogPartition<Real>&, const Place&);
  std::size_t (*gradient)(const Chains<Real>&, const Paths&, const Real* grad, const Real* messages,
                          const Real* log_z, const Gradient<Real>&, const Place&);
  std::size_t (*value_and_gradient)(const Chains<Real>&, const Paths&, const Real* grad, Real* value,
                                    const Gradient<Real>&, const Place&);
};

template <class Real>
struct PathOperations {
  std::size_t (*viterbi)(const Chains<Real>&, const BestPaths<Real>&, const Place&);
  std::size_t (*k_best)(const Chains<Real>&, const BestPaths<Real>&, const Place&);
  std::size_t (*log_alphas)(const Chains<Real>&, Real* alphas, const Place&);
  std::size_t (*sample)(const Chains<Real>&, const Samples&, const Place&);
};

template <class Real>
ValueOperations<Real> value_operations();
template <class Real>
PathOperations<Real> path_operations();

// How many devices there are; where it is 0, `why` is CUDA's word for it.
int device_count(const char** why);

}  // namespace pybert_crf::cuda
