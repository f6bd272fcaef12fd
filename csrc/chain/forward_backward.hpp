// The forward-backward algorithm in the log semiring (Rabiner 1989, eq. 19-27; Lafferty et al. 2001, section
// 3).
//
// Each step is kept relative to its own maximum, so nothing grows with the length of the chain: the numbers
// that the step works on keep all their digits, and what was taken off is summed in double. In float the
// tags-by-tags part of a step is float; its tags-long ends are double.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "chain/padded.hpp"

namespace pybert_crf {

// One thread's working memory for chains of one number of tags.
template <class Lanes>
struct ForwardBackwardScratch {
  using Real = typename Lanes::Real;

  explicit ForwardBackwardScratch(std::size_t padded)
      : published(padded), peak(padded), sum(padded), weight(padded), score(padded), beta(padded) {}

  std::vector<std::ptrdiff_t> positions;
  std::vector<Real> published;  // what the lanes let each other read: scores relative to the greatest
  std::vector<Real> peak;       // greatest incoming score of a lane
  std::vector<Real> sum;        // of exp(incoming score - peak)
  std::vector<Real> weight;
  std::vector<double> score;
  std::vector<double> beta;
  std::vector<Real> terms;  // (tags, padded), backward only: the terms of `sum`
};

// score[j] = log sum_i exp(published[i] + transitions[i, j]), and keep(i, group, terms) sees the terms of
// that sum relative to the greatest of them. A lane that nothing reaches gets sum 0 and score -inf.
template <class Lanes, class Keep>
void log_sum_exp_step(const PaddedChain<Lanes>& chain, ForwardBackwardScratch<Lanes>& scratch, double* score,
                      Keep keep) {
  using Real = typename Lanes::Real;
  using Values = typename Lanes::Values;
  const Real* published = scratch.published.data();
  Real* peaks = scratch.peak.data();
  Real* sums = scratch.sum.data();
  for (std::ptrdiff_t group = 0; group < chain.padded; group += Lanes::width) {
    const Real* incoming = chain.transitions.data() + group;
    Values peak = Lanes::all(-std::numeric_limits<Real>::infinity());
    for (std::ptrdiff_t i = 0; i < chain.tags; ++i)
      peak = Lanes::max(peak, Lanes::all(published[i]) + Lanes::load(incoming + i * chain.padded));
    const Values base = Lanes::finite_or_zero(peak);  // -inf - -inf would be NaN
    Values sum = Lanes::all(0);
    for (std::ptrdiff_t i = 0; i < chain.tags; ++i) {
      const Values x = Lanes::all(published[i]) + Lanes::load(incoming + i * chain.padded);
      const Values term = Lanes::exp(x - base);
      keep(i, group, term);
      sum = sum + term;
    }
    Lanes::store(peaks + group, peak);
    Lanes::store(sums + group, sum);
    Lanes::store(scratch.weight.data() + group, Lanes::log(sum));
  }
  const Real* logs = scratch.weight.data();
  for (std::ptrdiff_t j = 0; j < chain.padded; ++j)
    score[j] = static_cast<double>(peaks[j]) + static_cast<double>(logs[j]);
}

// published = score - its maximum, which is returned; -inf stays where no tag is reachable.
template <class Lanes>
double publish_relative(const double* score, std::ptrdiff_t padded, typename Lanes::Real* published) {
  const double greatest = Lanes::max_of(score, padded);
  const double base = greatest == -std::numeric_limits<double>::infinity() ? 0 : greatest;
  for (std::ptrdiff_t j = 0; j < padded; ++j)
    published[j] = static_cast<typename Lanes::Real>(score[j] - base);
  return greatest;
}

inline double log_sum_exp(const double* score, std::ptrdiff_t size, double greatest) {
  const double base = greatest == -std::numeric_limits<double>::infinity() ? 0 : greatest;
  double sum = 0;
  for (std::ptrdiff_t j = 0; j < size; ++j) sum += std::exp(score[j] - base);
  return base + std::log(sum);
}

// log Z of the chain at scratch.positions, and its alphas.
template <class Lanes>
double forward(const PaddedChain<Lanes>& chain, View<const typename Lanes::Real, 2> emissions,
               View<typename Lanes::Real, 2> alphas, ForwardBackwardScratch<Lanes>& scratch) {
  double* score = scratch.score.data();
  double log_z = 0;
  bool first = true;
  if (scratch.positions.empty()) return log_z;
  for (const std::ptrdiff_t t : scratch.positions) {
    if (first) {
      for (std::ptrdiff_t j = 0; j < chain.padded; ++j) score[j] = static_cast<double>(chain.start[j]);
    } else {
      log_sum_exp_step(chain, scratch, score, [](auto&&...) {});
    }
    first = false;
    for (std::ptrdiff_t j = 0; j < chain.tags; ++j) score[j] += static_cast<double>(emissions(t, j));
    log_z += publish_relative<Lanes>(score, chain.padded, scratch.published.data());
    for (std::ptrdiff_t j = 0; j < chain.tags; ++j) alphas(t, j) = scratch.published[j];
  }
  for (std::ptrdiff_t j = 0; j < chain.padded; ++j)
    score[j] = static_cast<double>(scratch.published[j]) + static_cast<double>(chain.end[j]);
  return log_z + log_sum_exp(score, chain.tags, Lanes::max_of(score, chain.padded));
}

// Expected counts of several chains, in double: thousands of small numbers go into each.
struct ExpectedCounts {
  double* start;        // (padded)
  double* end;          // (padded)
  double* transitions;  // (tags, padded), rows are the tag that is entered
};

// scratch.weight = grad * posterior probability of each tag, from one position's alphas and betas.
//
// log Z is not needed: each position is normalised by its own sum, which cannot drift along the chain.
template <class Lanes>
void weigh_posterior(View<const typename Lanes::Real, 1> alphas, std::ptrdiff_t tags, std::ptrdiff_t padded,
                     double grad, ForwardBackwardScratch<Lanes>& scratch) {
  using Real = typename Lanes::Real;
  double* score = scratch.score.data();
  Real* weight = scratch.weight.data();
  for (std::ptrdiff_t j = 0; j < padded; ++j) score[j] = -std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t j = 0; j < tags; ++j) score[j] = static_cast<double>(alphas(j)) + scratch.beta[j];
  publish_relative<Lanes>(score, padded, weight);
  for (std::ptrdiff_t group = 0; group < padded; group += Lanes::width)
    Lanes::store(weight + group, Lanes::exp(Lanes::load(weight + group)));
  const double total = Lanes::sum_of(weight, padded);
  const double scale = total == 0 ? 0 : grad / total;  // 0: no path is legal, so nothing is expected
  for (std::ptrdiff_t j = 0; j < padded; ++j)
    weight[j] = static_cast<Real>(static_cast<double>(weight[j]) * scale);
}

// Adds the expected counts of the pairs (i, j) at the step whose terms and sums the scratch holds:
// P(i, j) = P(i) exp(transitions[i, j] + emission[j] + beta[j]) / (the sum of that over j).
template <class Lanes>
void count_pairs(std::ptrdiff_t tags, std::ptrdiff_t padded, ForwardBackwardScratch<Lanes>& scratch,
                 double* counts) {
  using Real = typename Lanes::Real;
  Real* weight = scratch.weight.data();
  const Real* sum = scratch.sum.data();
  for (std::ptrdiff_t i = 0; i < padded; ++i)
    weight[i] /= sum[i] > 1 ? sum[i] : 1;  // a live sum is at least 1
  for (std::ptrdiff_t j = 0; j < tags; ++j) {
    const Real* terms = scratch.terms.data() + j * padded;
    double* row = counts + j * padded;
    for (std::ptrdiff_t i = 0; i < padded; ++i) row[i] += static_cast<double>(weight[i] * terms[i]);
  }
}

// The gradient of grad * log Z of the chain at scratch.positions.
// `chain` has the lanes own the previous tag; scratch.terms must be there.
template <class Lanes>
void backward(const PaddedChain<Lanes>& chain, double grad, View<const typename Lanes::Real, 2> emissions,
              View<const typename Lanes::Real, 2> alphas, View<typename Lanes::Real, 2> d_emissions,
              const ExpectedCounts& counts, ForwardBackwardScratch<Lanes>& scratch) {
  using Real = typename Lanes::Real;
  const std::ptrdiff_t tags = chain.tags;
  const std::ptrdiff_t padded = chain.padded;
  const auto& positions = scratch.positions;
  double* score = scratch.score.data();
  double* beta = scratch.beta.data();
  const Real* weight = scratch.weight.data();
  for (std::ptrdiff_t j = 0; j < padded; ++j) beta[j] = static_cast<double>(chain.end[j]);
  for (auto at = positions.rbegin(); at != positions.rend(); ++at) {
    const std::ptrdiff_t t = *at;
    weigh_posterior(alphas[t], tags, padded, grad, scratch);
    for (std::ptrdiff_t j = 0; j < tags; ++j) d_emissions(t, j) = weight[j];
    if (at == positions.rbegin()) {
      for (std::ptrdiff_t j = 0; j < padded; ++j) counts.end[j] += static_cast<double>(weight[j]);
    }
    if (at + 1 == positions.rend()) {
      for (std::ptrdiff_t j = 0; j < padded; ++j) counts.start[j] += static_cast<double>(weight[j]);
    }
    if (at != positions.rbegin()) count_pairs(tags, padded, scratch, counts.transitions);
    if (at + 1 == positions.rend()) break;
    for (std::ptrdiff_t j = 0; j < padded; ++j) score[j] = beta[j];
    for (std::ptrdiff_t j = 0; j < tags; ++j) score[j] += static_cast<double>(emissions(t, j));
    publish_relative<Lanes>(score, padded, scratch.published.data());
    Real* terms = scratch.terms.data();
    log_sum_exp_step(chain, scratch, beta, [=](std::ptrdiff_t j, std::ptrdiff_t group, const auto& term) {
      Lanes::store(terms + j * padded + group, term);
    });
  }
}

}  // namespace pybert_crf
