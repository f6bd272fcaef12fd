// The forward-backward algorithm in the log semiring, in double: for rows outside the bounds of the scaled
// recursion. It has no precondition. docs/crf/numbers.md, eq. 18 and 19; docs/crf/theory.md, eq. 20.
//
// Each step is kept relative to its own maximum, so nothing grows with the length of the chain. A step needs
// one exponential a tag, sum_i exp(alpha_i) W_ij: all factors are at most 1, and a term that underflows is
// below 1e-307. So if the sum is at least `least_sum`, less than 1e-100 of it is lost; a column with a
// smaller sum (all ways into its tag are very unlikely, or forbidden) is summed again from the scores
// themselves.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/counts.hpp"
#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "chain/table.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

constexpr double least_sum = 1e-200;

template <class Real>
struct LogChain {
  View<const Real, 2> transitions;  // (tags, tags)
  View<const Real, 1> start;
  View<const Real, 1> end;
};

template <class Real>
PYBERT_CRF_INLINE LogChain<Real> log_chain(const Chains<Real>& chains) {
  return {chains.transitions, chains.start, chains.end};
}

// Working memory, in double: (padded) each.
template <class Lanes>
struct LogScratch {
  using Element = typename Lanes::Element;
  Element* alpha;
  Element* powers;
  Element* sums;
  Element* joint;
  Element* marginal;
  Element* ratios;

  static constexpr std::ptrdiff_t parts = 6;

  static PYBERT_CRF_INLINE LogScratch at(std::ptrdiff_t padded, Element* memory) {
    return {memory,
            memory + padded,
            memory + 2 * padded,
            memory + 3 * padded,
            memory + 4 * padded,
            memory + 5 * padded};
  }
};

// log sum_i exp(alpha_i + transitions_ij), from the scores themselves, for a sum of products that is too
// small to be exact (eq. 19).
template <class Element, class Real>
PYBERT_CRF_FUNCTION double column_log_sum(const Element* alpha, const View<const Real, 2>& transitions,
                                          std::ptrdiff_t tags, std::ptrdiff_t j) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  double top = nothing;
  for (std::ptrdiff_t i = 0; i < tags; ++i) {
    const double score = alpha[i] + static_cast<double>(transitions(i, j));
    top = score > top ? score : top;
  }
  if (top == nothing) return top;
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < tags; ++i)
    sum += std::exp(alpha[i] + static_cast<double>(transitions(i, j)) - top);
  return top + std::log(sum);
}

// powers_i = exp(alpha_i); sums_j = sum_i powers_i W_ij (eq. 18). Publishes the alphas too.
template <class Lanes>
PYBERT_CRF_FUNCTION void step_sums(const Weights<Lanes>& weights, const LogScratch<Lanes>& scratch) {
  const Shape<Lanes>& shape = weights.shape;
  Lanes::each(shape.padded, [&](std::ptrdiff_t i) {
    if (i >= shape.tags) scratch.alpha[i] = -std::numeric_limits<double>::infinity();
  });
  for (std::ptrdiff_t block = 0; block < shape.padded; block += Lanes::width)
    Lanes::store(scratch.powers + block, Lanes::exp(Lanes::load(scratch.alpha + block)));
  Lanes::sync();
  for (std::ptrdiff_t block = 0; block < shape.padded; block += Lanes::width)
    Lanes::store(scratch.sums + block, propagate(shape, scratch.powers, weights.table[left], block));
}

// log Z of a row of at least one position, NaN if NaN or +inf is among its scores. Calls visit(i, j, alpha)
// with the alpha of each tag at each position, relative to the greatest of the position, in the lane that
// owns the tag.
template <class Lanes, class Real, class Visit>
PYBERT_CRF_FUNCTION double log_forward(const Weights<Lanes>& weights, const LogChain<Real>& chain,
                                       const Row<Real>& row, const LogScratch<Lanes>& scratch, Visit visit) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  const std::ptrdiff_t tags = row.tags;
  const auto& alpha = scratch.alpha;
  const auto& joint = scratch.joint;
  double offset = 0;
  bool nan = row.length > 1 && weights.has_nan;
  for (std::ptrdiff_t at = 0; at < row.length; ++at) {
    if (at > 0) step_sums(weights, scratch);
    Lanes::each(tags, [&](std::ptrdiff_t j) {
      const double reached = at == 0 ? static_cast<double>(chain.start(j))
                             : scratch.sums[j] >= least_sum
                                 ? std::log(scratch.sums[j]) + weights.top
                                 : column_log_sum(alpha, chain.transitions, tags, j);
      joint[j] = reached + static_cast<double>(row.emission(at, j));
    });
    nan |= Lanes::any_of(tags, [&](std::ptrdiff_t j) { return is_nan_or_inf(joint[j]); });
    double top = Lanes::greatest_of(tags, [&](std::ptrdiff_t j) -> double { return joint[j]; });
    if (top == nothing) top = 0;
    Lanes::sync();  // nobody reads the last alphas any more
    Lanes::each(tags, [&](std::ptrdiff_t j) {
      const double relative = joint[j] - top;
      alpha[j] = relative;
      visit(at, j, relative);
    });
    offset += top;
  }
  Lanes::sync();
  const auto ending = [&](std::ptrdiff_t j) -> double {
    return alpha[j] + static_cast<double>(chain.end(j));
  };
  nan |= Lanes::any_of(tags, [&](std::ptrdiff_t j) { return is_nan_or_inf(ending(j)); });
  const double top = Lanes::greatest_of(tags, ending);
  if (nan) return std::numeric_limits<double>::quiet_NaN();
  if (top == nothing) return nothing;
  const double sum = Lanes::sum_of(tags, [&](std::ptrdiff_t j) { return std::exp(ending(j) - top); });
  return offset + top + std::log(sum);
}

// The alphas (time, tags) of a row, as Operations::log_alphas has them.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void log_alphas_of_row(const Weights<Lanes>& weights, const Chains<Real>& chains,
                                           const Row<Real>& row, const LogScratch<Lanes>& scratch,
                                           Real* alphas) {
  fill_masked<Lanes>(row, chains.time, row.tags, alphas, Real{0});
  if (row.length == 0) return;
  log_forward(weights, log_chain(chains), row, scratch,
              [&](std::ptrdiff_t i, std::ptrdiff_t j, double alpha) {
                alphas[row.positions[i] * row.tags + j] = static_cast<Real>(alpha);
              });
}

// The gradient of weight * log_z of a row with a legal path, given its alphas (length, tags), by conditionals
// from right to left (eq. 20): no second recursion can drift apart from the first.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void log_gradient(const Weights<Lanes>& weights, const LogChain<Real>& chain,
                                      const Row<Real>& row, double weight, const double* alphas,
                                      const LogScratch<Lanes>& scratch, Real* d_emissions,
                                      const Counts& counts) {
  const std::ptrdiff_t tags = row.tags;
  const Shape<Lanes>& shape = weights.shape;
  const auto& alpha = scratch.alpha;
  const auto& joint = scratch.joint;
  const auto& marginal = scratch.marginal;
  const auto& ratios = scratch.ratios;
  for (std::ptrdiff_t at = row.length - 1; at >= 0; --at) {
    const bool last = at == row.length - 1;
    Lanes::each(tags, [&](std::ptrdiff_t i) {
      alpha[i] = alphas[at * tags + i] + (last ? static_cast<double>(chain.end(i)) : 0.0);
    });
    if (last) {
      const double top = Lanes::greatest_of(tags, [&](std::ptrdiff_t i) -> double { return alpha[i]; });
      Lanes::each(tags, [&](std::ptrdiff_t i) { joint[i] = std::exp(alpha[i] - top); });
    } else {
      step_sums(weights, scratch);
      // P(j) / sum_j, or, where that sum is too small to be exact, minus infinity and the exact sum's
      // logarithm.
      Lanes::each(tags, [&](std::ptrdiff_t j) {
        const bool product = scratch.sums[j] >= least_sum;
        ratios[j] = product ? marginal[j] / scratch.sums[j] : -std::numeric_limits<double>::infinity();
        if (!product && marginal[j] > 0) scratch.sums[j] = column_log_sum(alpha, chain.transitions, tags, j);
      });
      Lanes::sync();
      Lanes::each(tags, [&](std::ptrdiff_t i) {
        double total = 0;
        for (std::ptrdiff_t j = 0; j < tags; ++j) {
          const double after = marginal[j];
          if (!(after > 0)) continue;
          const double ratio = ratios[j];
          const double pair = ratio >= 0
                                  ? scratch.powers[i] * weights.table[left][shape.at(i, j)] * ratio
                                  : after * std::exp(alpha[i] + static_cast<double>(chain.transitions(i, j)) -
                                                     scratch.sums[j]);
          total += pair;
          counts.direct[i * tags + j] += weight * pair;
        }
        joint[i] = total;
      });
    }
    const double total = Lanes::sum_of(tags, [&](std::ptrdiff_t i) -> double { return joint[i]; });
    Lanes::sync();  // nobody reads the last marginals any more
    Lanes::each(tags, [&](std::ptrdiff_t i) {
      const double probability = joint[i] / total;
      marginal[i] = probability;
      d_emissions[row.positions[at] * tags + i] = static_cast<Real>(weight * probability);
      if (last) counts.end[i] += weight * probability;
      if (at == 0) counts.start[i] += weight * probability;
    });
  }
  Lanes::sync();
}

// The gradient of weight * log_z of a row with a legal path; NaN where log_z is. `alphas` is memory for
// (length, tags).
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION void log_row_gradient(const Weights<Lanes>& weights, const LogChain<Real>& chain,
                                          const Row<Real>& row, double weight, double* alphas,
                                          const LogScratch<Lanes>& scratch, Real* d_emissions,
                                          const Counts& counts) {
  const std::ptrdiff_t tags = row.tags;
  const double log_z =
      log_forward(weights, chain, row, scratch,
                  [&](std::ptrdiff_t i, std::ptrdiff_t j, double alpha) { alphas[i * tags + j] = alpha; });
  if (!is_nan(log_z)) {
    log_gradient(weights, chain, row, weight, alphas, scratch, d_emissions, counts);
    return;
  }
  Lanes::each(tags, [&](std::ptrdiff_t j) {
    for (std::ptrdiff_t i = 0; i < row.length; ++i)
      d_emissions[row.positions[i] * tags + j] = static_cast<Real>(log_z);
    counts.start[j] = log_z;
    counts.end[j] = log_z;
    for (std::ptrdiff_t to = 0; row.length > 1 && to < tags; ++to) counts.direct[j * tags + to] = log_z;
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
