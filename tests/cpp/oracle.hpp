// What the paths of one row add up to: every path visited, or where they are too many, the recursion in long
// double straight from its definition.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "random_problem.hpp"

template <class Real>
class Oracle {
 public:
  std::vector<std::ptrdiff_t> positions;
  std::vector<std::int64_t> best_path;   // only where `enumerated`
  std::vector<double> ranked;            // the scores of all paths, best first; only where `enumerated`
  std::vector<double> marginals, pairs;  // (positions, tags), (tags, tags) expected counts
  double log_z = 0, best = 0;
  bool enumerated = false;

  Oracle(Problem<Real>& problem, std::ptrdiff_t row) : chains_(problem.chains()), row_(row) {
    for (std::ptrdiff_t t = 0; t < problem.time; ++t)
      if (chains_.mask(row, t)) positions.push_back(t);
    marginals.resize(positions.size() * tags());
    pairs.resize(tags() * tags());
    if (positions.empty()) return;
    enumerated = std::pow(static_cast<double>(tags()), static_cast<double>(positions.size())) <= 2000;
    if (enumerated) {
      enumerate();
    } else {
      recur();
    }
  }

  double score(const std::vector<std::int64_t>& path) const {
    double sum =
        static_cast<double>(chains_.start(path.front())) + static_cast<double>(chains_.end(path.back()));
    for (std::size_t at = 0; at < path.size(); ++at) {
      sum += static_cast<double>(chains_.emissions(row_, positions[at], path[at]));
      if (at > 0) sum += static_cast<double>(chains_.transitions(path[at - 1], path[at]));
    }
    return sum;
  }

 private:
  std::size_t tags() const { return static_cast<std::size_t>(chains_.tags); }

  // The last tag changes slowest: the first of equally good paths is the one that the tie rule wants.
  template <class Visit>
  void for_each_path(Visit visit) const {
    std::vector<std::int64_t> path(positions.size(), 0);
    for (std::size_t at = 0; at < path.size();) {
      visit(path);
      for (at = 0; at < path.size() && ++path[at] == chains_.tags; ++at) path[at] = 0;
    }
  }

  void enumerate() {
    best = -infinity;
    for_each_path([&](const auto& path) {
      const double here = score(path);
      ranked.push_back(here);
      if (here > best) {
        best = here;
        best_path = path;
      }
    });
    std::sort(ranked.begin(), ranked.end(), [](double a, double b) { return a > b; });
    log_z = best;
    if (best == -infinity) return;
    double total = 0;
    for_each_path([&](const auto& path) {
      const double weight = std::exp(score(path) - best);
      total += weight;
      for (std::size_t at = 0; at < path.size(); ++at) {
        marginals[at * tags() + static_cast<std::size_t>(path[at])] += weight;
        if (at > 0) pairs[static_cast<std::size_t>(path[at - 1] * chains_.tags + path[at])] += weight;
      }
    });
    log_z += std::log(total);
    for (auto& value : marginals) value /= total;
    for (auto& value : pairs) value /= total;
  }

  using Long = long double;
  using Table = std::vector<std::vector<Long>>;

  static Long log_sum(const std::vector<Long>& terms) {
    const Long top = *std::max_element(terms.begin(), terms.end());
    if (std::isinf(top)) return top;
    Long sum = 0;
    for (const Long term : terms) sum += std::exp(term - top);
    return top + std::log(sum);
  }

  Long emission(std::size_t at, std::size_t tag) const {
    return static_cast<Long>(chains_.emissions(row_, positions[at], static_cast<std::ptrdiff_t>(tag)));
  }
  Long transition(std::size_t from, std::size_t to) const {
    return static_cast<Long>(
        chains_.transitions(static_cast<std::ptrdiff_t>(from), static_cast<std::ptrdiff_t>(to)));
  }

  void recur() {
    const std::size_t length = positions.size(), K = tags();
    Table alpha(length, std::vector<Long>(K)), beta(alpha), highest(alpha);
    std::vector<Long> terms(K), paths(K);
    for (std::size_t at = 0; at < length; ++at)
      for (std::size_t j = 0; j < K; ++j) {
        for (std::size_t i = 0; at > 0 && i < K; ++i) {
          terms[i] = alpha[at - 1][i] + transition(i, j);
          paths[i] = highest[at - 1][i] + transition(i, j);
        }
        const Long first = static_cast<Long>(chains_.start(static_cast<std::ptrdiff_t>(j)));
        alpha[at][j] = emission(at, j) + (at == 0 ? first : log_sum(terms));
        highest[at][j] = emission(at, j) + (at == 0 ? first : *std::max_element(paths.begin(), paths.end()));
      }
    for (std::size_t at = length; at-- > 0;)
      for (std::size_t i = 0; i < K; ++i) {
        for (std::size_t j = 0; at + 1 < length && j < K; ++j)
          terms[j] = transition(i, j) + emission(at + 1, j) + beta[at + 1][j];
        beta[at][i] = at + 1 == length ? static_cast<Long>(chains_.end(static_cast<std::ptrdiff_t>(i)))
                                       : log_sum(terms);
      }
    for (std::size_t j = 0; j < K; ++j) {
      const Long last = static_cast<Long>(chains_.end(static_cast<std::ptrdiff_t>(j)));
      terms[j] = alpha[length - 1][j] + last;
      paths[j] = highest[length - 1][j] + last;
    }
    const Long total = log_sum(terms);
    log_z = static_cast<double>(total);
    best = static_cast<double>(*std::max_element(paths.begin(), paths.end()));
    if (std::isinf(total)) return;
    for (std::size_t at = 0; at < length; ++at)
      for (std::size_t i = 0; i < K; ++i) {
        marginals[at * K + i] = static_cast<double>(std::exp(alpha[at][i] + beta[at][i] - total));
        for (std::size_t j = 0; at + 1 < length && j < K; ++j)
          pairs[i * K + j] += static_cast<double>(
              std::exp(alpha[at][i] + transition(i, j) + emission(at + 1, j) + beta[at + 1][j] - total));
      }
  }

  Chains<Real> chains_;
  std::ptrdiff_t row_;
};
