// Exact samples of paths, by forward filtering and backward sampling. docs/crf.md, eq. 26.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/log_semiring.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The first i whose cumulative weight, exp(alpha_i + score(i)), exceeds uniform * the total of them.
// weights: (tags) to work in. A total of 0: -1.
template <class Score>
PYBERT_CRF_INLINE std::ptrdiff_t draw(double uniform, const double* alpha, std::ptrdiff_t tags, Score score,
                                      double* weights) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  double top = nothing;
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    weights[i] = alpha[i] + score(i);
    top = weights[i] > top ? weights[i] : top;
  }
  if (top == nothing) return -1;
  double total = 0;
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    weights[i] = std::exp(weights[i] - top);
    total += weights[i];
  }
  const double wanted = uniform * total;
  double sum = 0;
  std::ptrdiff_t last =
      -1;  // of the tags that are possible at all, should rounding leave none beyond `wanted`
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    if (!(weights[i] > 0)) continue;
    sum += weights[i];
    last = i;
    if (sum > wanted) break;
  }
  return last;
}

// One sample of a row with a legal path, from its alphas (length, tags): step(i, tag) from the last position
// to the first. uniform(i) is in [0, 1).
template <class Real, class Uniform, class Step>
void sample_path(const LogChain<Real>& chain, const Row<Real>& row, const double* alphas, double* weights,
                 Uniform uniform, Step step) {
  std::ptrdiff_t tag = -1;
  for (std::ptrdiff_t i = row.length - 1; i >= 0; --i) {
    const double* alpha = alphas + i * row.tags;
    tag = draw(
        uniform(i), alpha, row.tags,
        [&](std::ptrdiff_t from) {
          return static_cast<double>(tag < 0 ? chain.end(from) : chain.transitions(from, tag));
        },
        weights);
    step(i, tag);
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
