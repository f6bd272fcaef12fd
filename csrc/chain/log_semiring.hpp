// The forward-backward algorithm in the log semiring, in double: for the rows that the scaled recursion
// cannot promise to be exact on. It has no precondition. docs/crf.md, eq. 18 to 20.
//
// Each step is kept relative to its own maximum, so nothing grows with the length of the chain. A step needs
// one exponential a tag, sum_i exp(alpha_i) W_ij: all factors are at most 1, and what underflows in a term is
// below 1e-307. So where the sum is at least `least_sum` what is lost is below 1e-100 of it; a column with a
// smaller sum (its only ways in are very unlikely, or forbidden) is summed again from the scores themselves.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/parameters.hpp"
#include "chain/propagate.hpp"
#include "chain/row.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

constexpr double least_sum = 1e-200;

template <class Real>
struct LogChain {
  View<const Real, 2> transitions;  // (tags, tags)
  View<const Real, 1> start;
  View<const Real, 1> end;
};

// Working memory, in double: (padded) each.
struct LogScratch {
  double* alpha;
  double* powers;
  double* sums;
  double* joint;
  double* marginal;
  double* ratios;
};

// log sum_i exp(alpha_i + transitions_ij), from the scores themselves: where a sum of products is too small
// to be exact (eq. 19).
template <class Real>
double column_log_sum(const double* alpha, const View<const Real, 2>& transitions, std::ptrdiff_t tags,
                      std::ptrdiff_t j) {
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

// powers_i = exp(alpha_i); sums_j = sum_i powers_i W_ij (eq. 18).
template <class Lanes>
void step_sums(const Weights<Lanes>& weights, const LogScratch& scratch) {
  const Shape<Lanes>& shape = weights.shape;
  for (std::ptrdiff_t i = shape.tags; i < shape.padded; ++i)
    scratch.alpha[i] = -std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t block = 0; block < shape.padded; block += Lanes::width)
    Lanes::store(scratch.powers + block, Lanes::exp(Lanes::load(scratch.alpha + block)));
  Lanes::sync();
  for (std::ptrdiff_t block = 0; block < shape.padded; block += Lanes::width)
    Lanes::store(scratch.sums + block, propagate(shape, scratch.powers, weights.table[left], block));
  Lanes::sync();
}

// log Z of a row of at least one position; visit(i, alphas) sees the alphas of its i-th position, relative to
// the greatest of them.
template <class Lanes, class Real, class Visit>
double log_forward(const Weights<Lanes>& weights, const LogChain<Real>& chain, const Row<Real>& row,
                   const LogScratch& scratch, Visit visit) {
  constexpr double nothing = -std::numeric_limits<double>::infinity();
  const std::ptrdiff_t tags = row.tags;
  double* alpha = scratch.alpha;
  double offset = 0;
  bool nan = row.length > 1 && weights.broken;
  for (std::ptrdiff_t at = 0; at < row.length; ++at) {
    if (at > 0) step_sums(weights, scratch);
    const Real* emission = row.emission(at);
    double top = nothing;
    for (std::ptrdiff_t j = 0; j < tags; ++j) {
      const double reached = at == 0 ? static_cast<double>(chain.start(j))
                             : scratch.sums[j] >= least_sum
                                 ? std::log(scratch.sums[j]) + weights.top
                                 : column_log_sum(alpha, chain.transitions, tags, j);
      scratch.joint[j] = reached + static_cast<double>(emission[j]);
      nan |= std::isnan(scratch.joint[j]);
      top = scratch.joint[j] > top ? scratch.joint[j] : top;
    }
    if (top == nothing) top = 0;
    for (std::ptrdiff_t j = 0; j < tags; ++j) alpha[j] = scratch.joint[j] - top;
    offset += top;
    visit(at, alpha);
  }
  double top = nothing;
  for (std::ptrdiff_t j = 0; j < tags; ++j) {
    const double score = alpha[j] + static_cast<double>(chain.end(j));
    nan |= std::isnan(score);
    top = score > top ? score : top;
  }
  if (nan) return std::numeric_limits<double>::quiet_NaN();
  if (top == nothing) return nothing;
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < tags; ++j)
    sum += std::exp(alpha[j] + static_cast<double>(chain.end(j)) - top);
  return offset + top + std::log(sum);
}

// Expected counts of several rows, in double: thousands of small numbers go into each.
struct Counts {
  double* start;     // (padded)
  double* end;       // (padded)
  double* products;  // a table of Shape: pairs, yet to be multiplied by W
  double* direct;    // (tags, tags): pairs
};

// The gradient of weight * log_z of a row with a legal path, given its alphas (length, tags), by conditionals
// from right to left (eq. 20): no second recursion can drift apart from the first.
template <class Lanes, class Real>
void log_gradient(const Weights<Lanes>& weights, const LogChain<Real>& chain, const Row<Real>& row,
                  double weight, const double* alphas, const LogScratch& scratch, Real* d_emissions,
                  const Counts& counts) {
  const std::ptrdiff_t tags = row.tags;
  const Shape<Lanes>& shape = weights.shape;
  double* marginal = scratch.marginal;
  double* joint = scratch.joint;
  for (std::ptrdiff_t at = row.length - 1; at >= 0; --at) {
    double* alpha = scratch.alpha;
    for (std::ptrdiff_t i = 0; i < tags; ++i) alpha[i] = alphas[at * tags + i];
    if (at == row.length - 1) {
      double top = -std::numeric_limits<double>::infinity();
      for (std::ptrdiff_t i = 0; i < tags; ++i) {
        alpha[i] += static_cast<double>(chain.end(i));
        top = alpha[i] > top ? alpha[i] : top;
      }
      for (std::ptrdiff_t i = 0; i < tags; ++i) joint[i] = std::exp(alpha[i] - top);
    } else {
      step_sums(weights, scratch);
      for (std::ptrdiff_t i = 0; i < tags; ++i) joint[i] = 0;
      for (std::ptrdiff_t j = 0; j < tags; ++j) {
        if (!(marginal[j] > 0)) continue;
        const bool product = scratch.sums[j] >= least_sum;
        const double ratio = marginal[j] / scratch.sums[j];
        const double normaliser = product ? 0 : column_log_sum(alpha, chain.transitions, tags, j);
        for (std::ptrdiff_t i = 0; i < tags; ++i) {
          const double pair =
              product ? scratch.powers[i] * weights.table[left][shape.at(i, j)] * ratio
                      : marginal[j] *
                            std::exp(alpha[i] + static_cast<double>(chain.transitions(i, j)) - normaliser);
          joint[i] += pair;
          counts.direct[i * tags + j] += weight * pair;
        }
      }
    }
    double total = 0;
    for (std::ptrdiff_t i = 0; i < tags; ++i) total += joint[i];
    for (std::ptrdiff_t i = 0; i < tags; ++i) {
      marginal[i] = joint[i] / total;
      d_emissions[row.positions[at] * tags + i] = static_cast<Real>(weight * marginal[i]);
      if (at == row.length - 1) counts.end[i] += weight * marginal[i];
      if (at == 0) counts.start[i] += weight * marginal[i];
    }
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
