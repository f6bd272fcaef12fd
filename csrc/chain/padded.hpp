// What every algorithm starts from: parameters padded to whole groups of lanes, and a row's kept positions.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "chain.hpp"

namespace pybert_crf {

// The lanes beyond the last tag are tags that cannot be reached: their scores are -inf everywhere, which the
// recursions handle as they do any forbidden tag. So no algorithm has a special case for them.
template <class Lanes>
struct PaddedChain {
  using Real = typename Lanes::Real;

  std::ptrdiff_t tags;
  std::ptrdiff_t padded;    // tags, rounded up to whole groups
  std::vector<Real> start;  // (padded)
  std::vector<Real> end;    // (padded)
  std::vector<Real>
      transitions;  // (tags, padded); the rows are tags that others publish, the lanes own columns

  enum class Lane { next_tag, previous_tag };

  // With Lane::next_tag a row of transitions is the tag that is left, as forward recursions need it; with
  // Lane::previous_tag it is the tag that is entered.
  PaddedChain(const Chains<Real>& chains, Lane owner)
      : tags(chains.tags), padded((tags + Lanes::width - 1) / Lanes::width * Lanes::width) {
    constexpr Real forbidden = -std::numeric_limits<Real>::infinity();
    start.assign(static_cast<std::size_t>(padded), forbidden);
    end.assign(static_cast<std::size_t>(padded), forbidden);
    transitions.assign(static_cast<std::size_t>(tags * padded), forbidden);
    for (std::ptrdiff_t i = 0; i < tags; ++i) {
      start[i] = chains.start(i);
      end[i] = chains.end(i);
      Real* row = transitions.data() + i * padded;
      for (std::ptrdiff_t j = 0; j < tags; ++j)
        row[j] = owner == Lane::next_tag ? chains.transitions(i, j) : chains.transitions(j, i);
    }
  }
};

// Fills `kept` with the positions of one row's chain, in order; calls masked(t) for the others.
template <class OnMasked>
void find_chain(View<const std::uint8_t, 1> mask, std::ptrdiff_t time, std::vector<std::ptrdiff_t>& kept,
                OnMasked masked) {
  kept.clear();
  for (std::ptrdiff_t t = 0; t < time; ++t) {
    if (mask(t)) {
      kept.push_back(t);
    } else {
      masked(t);
    }
  }
}

}  // namespace pybert_crf
