// Exact samples of paths, by forward filtering and backward sampling. docs/crf/theory.md, eq. 26.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/log_semiring.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The first i whose cumulative weight, exp(alpha_i + score(i)), exceeds uniform * the total of them. A total
// of 0: -1.
template <class Score>
PYBERT_CRF_INLINE std::ptrdiff_t draw(double uniform, const double* alpha, std::ptrdiff_t tags, Score score) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  double top = nothing;
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    const double sum = alpha[i] + score(i);
    top = sum > top ? sum : top;
  }
  if (top == nothing) return -1;
  const auto weight = [&](std::ptrdiff_t i) { return std::exp(alpha[i] + score(i) - top); };
  double total = 0;
  for (std::ptrdiff_t i = 0; i < tags; ++i) total += weight(i);
  const double wanted = uniform * total;
  double sum = 0;
  std::ptrdiff_t last = -1;  // possible tag: the answer if the sum is rounded to no more than `wanted`
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    const double more = weight(i);
    if (!(more > 0)) continue;
    sum += more;
    last = i;
    if (sum > wanted) break;
  }
  return last;
}

// One sample of a row with a legal path, from its alphas (length, tags): step(i, tag) from the last position
// to the first. uniform(i) is in [0, 1). By one lane: the others draw other samples.
template <class Real, class Uniform, class Step>
PYBERT_CRF_FUNCTION void sample_path(const LogChain<Real>& chain, const Row<Real>& row, const double* alphas,
                                     Uniform uniform, Step step) {
  std::ptrdiff_t tag = -1;
  for (std::ptrdiff_t i = row.length - 1; i >= 0; --i) {
    const double* alpha = alphas + i * row.tags;
    tag = draw(uniform(i), alpha, row.tags, [&](std::ptrdiff_t from) {
      return static_cast<double>(tag < 0 ? chain.end(from) : chain.transitions(from, tag));
    });
    step(i, tag);
  }
}

// All samples of a row of a batch. `alphas` is memory for (length, tags).
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void samples_of_row(const Weights<Lanes>& weights, const Chains<Real>& chains,
                                        const Row<Real>& row, const Samples& out, double* alphas,
                                        const LogScratch<Lanes>& scratch) {
  const LogChain<Real> chain = log_chain(chains);
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  double log_z = nothing;
  if (row.length > 0)
    log_z = log_forward(weights, chain, row, scratch, [&](std::ptrdiff_t i, std::ptrdiff_t j, double alpha) {
      alphas[i * row.tags + j] = alpha;
    });
  Lanes::sync();
  Lanes::each(out.count, [&](std::ptrdiff_t n) {
    std::int64_t* path = out.tags + (n * chains.batch + row.index) * chains.time;
    for (std::ptrdiff_t t = 0; t < chains.time; ++t) path[t] = -1;
    if (!(log_z > nothing)) return;
    sample_path(
        chain, row, alphas, [&](std::ptrdiff_t i) { return out.uniforms(n, row.index, row.positions[i]); },
        [&](std::ptrdiff_t i, std::ptrdiff_t tag) { path[row.positions[i]] = tag; });
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
