// The Viterbi algorithm (Forney 1973): the best path, by the same recursion with max for log-sum-exp.
//
// Ties go to the lowest tag, at the last position and at each step back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "chain/forward_backward.hpp"
#include "chain/padded.hpp"

namespace pybert_crf {

// One thread's working memory. Tag is the narrowest unsigned type that holds every tag.
template <class Lanes, class Tag>
struct ViterbiScratch {
  using Real = typename Lanes::Real;

  explicit ViterbiScratch(std::size_t padded) : published(padded), best(padded), score(padded) {}

  std::vector<std::ptrdiff_t> positions;
  std::vector<Real> published;  // scores relative to the greatest
  std::vector<Real> best;       // greatest incoming score of a lane
  std::vector<double> score;
  std::vector<Tag> pointers;  // (positions, padded): the tag before each tag on the best path to it
};

// score[j] = max_i published[i] + transitions[i, j]; pointers[j] = the lowest such i.
template <class Lanes, class Tag>
void max_step(const PaddedChain<Lanes>& chain, ViterbiScratch<Lanes, Tag>& scratch, Tag* pointers) {
  using Real = typename Lanes::Real;
  using Index = typename Lanes::Index;
  for (std::ptrdiff_t group = 0; group < chain.padded; group += Lanes::width) {
    const Real* incoming = chain.transitions.data() + group;
    typename Lanes::Values best = Lanes::all(-std::numeric_limits<Real>::infinity());
    typename Lanes::Tags from{};
    for (std::ptrdiff_t i = 0; i < chain.tags; ++i) {
      const auto candidate = Lanes::all(scratch.published[i]) + Lanes::load(incoming + i * chain.padded);
      Lanes::keep_best(best, from, candidate, static_cast<Index>(i));
    }
    Lanes::store(scratch.best.data() + group, best);
    Lanes::store(pointers + group, from);
  }
  for (std::ptrdiff_t j = 0; j < chain.padded; ++j) scratch.score[j] = static_cast<double>(scratch.best[j]);
}

// Writes the best path of the chain at scratch.positions to `path`. Where no path is legal, some path.
template <class Lanes, class Tag>
void best_path(const PaddedChain<Lanes>& chain, View<const typename Lanes::Real, 2> emissions,
               View<std::int64_t, 1> path, ViterbiScratch<Lanes, Tag>& scratch) {
  const auto& positions = scratch.positions;
  const auto length = static_cast<std::ptrdiff_t>(positions.size());
  double* score = scratch.score.data();
  if (length == 0) return;
  scratch.pointers.resize(static_cast<std::size_t>(length * chain.padded));
  Tag* pointers = scratch.pointers.data();
  for (std::ptrdiff_t step = 0; step < length; ++step) {
    if (step == 0) {
      for (std::ptrdiff_t j = 0; j < chain.padded; ++j) score[j] = static_cast<double>(chain.start[j]);
    } else {
      max_step(chain, scratch, pointers + step * chain.padded);
    }
    const std::ptrdiff_t t = positions[step];
    for (std::ptrdiff_t j = 0; j < chain.tags; ++j) score[j] += static_cast<double>(emissions(t, j));
    publish_relative<Lanes>(score, chain.padded, scratch.published.data());
  }
  std::ptrdiff_t tag = 0;
  double best = -std::numeric_limits<double>::infinity();
  for (std::ptrdiff_t j = 0; j < chain.tags; ++j) {
    const double total = static_cast<double>(scratch.published[j]) + static_cast<double>(chain.end[j]);
    if (total > best) {
      best = total;
      tag = j;
    }
  }
  for (std::ptrdiff_t step = length - 1; step >= 0; --step) {
    path(positions[step]) = tag;
    if (step > 0) tag = pointers[step * chain.padded + tag];
  }
}

// The score of a path, in double: exact to one rounding however long the chain is.
template <class Real>
double path_score(const Chains<Real>& chains, View<const Real, 2> emissions, View<std::int64_t, 1> path,
                  const std::vector<std::ptrdiff_t>& positions) {
  if (positions.empty()) return 0;
  double score = static_cast<double>(chains.start(path(positions.front()))) +
                 static_cast<double>(chains.end(path(positions.back())));
  std::int64_t previous = -1;
  for (const std::ptrdiff_t t : positions) {
    const std::int64_t tag = path(t);
    score += static_cast<double>(emissions(t, tag));
    if (previous >= 0) score += static_cast<double>(chains.transitions(previous, tag));
    previous = tag;
  }
  return score;
}

}  // namespace pybert_crf
