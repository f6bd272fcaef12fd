// The operations that values.cu and paths.cu define, for each type of numbers in the namespace of its name.
#pragma once

#include "operations.hpp"

#define PYBERT_CRF_DECLARE(target, Real)                                                            \
  namespace pybert_crf::target {                                                                    \
  std::ptrdiff_t log_partition(const Chains<Real>&, const Paths&, const LogPartition<Real>&,        \
                               const cuda::Stream&);                                                \
  std::ptrdiff_t gradient(const Chains<Real>&, const Paths&, const Real*, const Real*, const Real*, \
                          const Gradient<Real>&, const cuda::Stream&);                              \
  std::ptrdiff_t value_and_gradient(const Chains<Real>&, const Paths&, const Real*, Real*,          \
                                    const Gradient<Real>&, const cuda::Stream&);                    \
  std::ptrdiff_t viterbi(const Chains<Real>&, const BestPaths<Real>&, const cuda::Stream&);         \
  std::ptrdiff_t k_best(const Chains<Real>&, const BestPaths<Real>&, const cuda::Stream&);          \
  std::ptrdiff_t log_alphas(const Chains<Real>&, Real*, const cuda::Stream&);                       \
  std::ptrdiff_t sample(const Chains<Real>&, const Samples&, const cuda::Stream&);                  \
  constexpr Operations<Real, cuda::Stream> operations = {                                           \
      log_partition, gradient, value_and_gradient, viterbi, k_best, log_alphas, sample};            \
  }

PYBERT_CRF_DECLARE(gpu_float, float)
PYBERT_CRF_DECLARE(gpu_double, double)
#undef PYBERT_CRF_DECLARE
