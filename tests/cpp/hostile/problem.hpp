// A batch of chains whose sizes, strides, masks, scores and paths are chosen by bytes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "hostile/choices.hpp"
#include "hostile/memory.hpp"
#include "operations.hpp"

using pybert_crf::Chains;
using pybert_crf::Paths;
using pybert_crf::View;

// An array whose axes lie in any order, with gaps or without, or are expanded (stride 0); next() is called
// for each number of the memory.
template <class T, int Rank, class Memory, class Next>
View<const T, Rank> strided(Memory& memory, Choices& choices, const std::ptrdiff_t (&sizes)[Rank],
                            const Next& next) {
  int order[Rank];  // the innermost axis first
  for (int axis = 0; axis < Rank; ++axis) order[axis] = Rank - 1 - axis;
  const auto plan = static_cast<unsigned>(choices.byte());
  if ((plan & 1) != 0) std::swap(order[0], order[Rank - 1]);
  if ((plan & 2) != 0) std::swap(order[0], order[Rank > 1 ? 1 : 0]);
  View<const T, Rank> view{};
  std::ptrdiff_t block = 1, last = 0;
  bool empty = false;
  for (int place = 0; place < Rank; ++place) {
    const int axis = order[place];
    const unsigned way = plan >> (2 + 2 * place) & 3;  // 0, 1: dense
    view.stride[axis] = way == 3 ? 0 : way == 2 ? 2 * block : block;
    if (way != 3) block = view.stride[axis] * (sizes[axis] > 0 ? sizes[axis] : 1);
    last += (sizes[axis] - 1) * view.stride[axis];
    empty = empty || sizes[axis] == 0;
  }
  const auto array = array_of<T>(memory, empty ? 0 : last + 1, T{});
  for (T& number : array) number = next();
  view.data = array.data;
  return view;
}

template <class Real>
struct HostileProblem {
  Chains<Real> chains;
  Paths paths;                     // for each row
  View<const double, 3> uniforms;  // (samples, batch, time)
  const Real* grad;                // (batch)
  std::ptrdiff_t count, samples;   // of best paths, of samples
  int threads;

  template <class Memory>
  HostileProblem(Memory& memory, Choices& choices) {
    const std::ptrdiff_t large[] = {34, 63, 64, 65, 100, 127, 129, 300};
    const std::ptrdiff_t drawn = choices.byte();
    const std::ptrdiff_t tags = drawn < 231 ? 1 + drawn % 33 : large[drawn % 8];
    const std::ptrdiff_t batch = choices.below(tags > 33 ? 3 : 13);
    const std::ptrdiff_t time = choices.below(tags > 33 ? 4 : 10);
    count = 1 + choices.below(4);
    samples = 1 + choices.below(2);
    threads = 1 + static_cast<int>(choices.below(2));
    HostileScores<Real> scores(choices);
    const auto score = [&] { return scores.next(); };
    const std::ptrdiff_t masked = choices.below(256) / 2;  // of 256 positions
    const bool wrong_tags = choices.below(8) == 0;
    chains.batch = batch;
    chains.time = time;
    chains.tags = tags;
    chains.emissions = strided<Real, 3>(memory, choices, {batch, time, tags}, score);
    chains.mask = strided<std::uint8_t, 2>(
        memory, choices, {batch, time}, [&] { return static_cast<std::uint8_t>(choices.byte() >= masked); });
    chains.start = strided<Real, 1>(memory, choices, {tags}, score);
    chains.transitions = strided<Real, 2>(memory, choices, {tags, tags}, score);
    chains.end = strided<Real, 1>(memory, choices, {tags}, score);
    paths = strided<std::int64_t, 2>(memory, choices, {batch, time}, [&]() -> std::int64_t {
      const std::int64_t hostile[] = {-1, tags, std::numeric_limits<std::int64_t>::min(),
                                      std::numeric_limits<std::int64_t>::max()};
      const std::uint8_t tag = choices.byte();
      return wrong_tags && tag < 16 ? hostile[tag % 4] : (tag * tags) >> 8;
    });
    uniforms = strided<double, 3>(memory, choices, {samples, batch, time}, [&] {
      return choices.byte() == 255 ? 1 - 0x1p-53 : choices.byte() / 256.0;
    });
    const auto weights = array_of<Real>(memory, batch, 0);
    for (Real& weight : weights) weight = score();
    grad = weights.data;
  }

  // The flat index of the first unmasked tag of the paths that is out of range; -1 if there is none.
  std::ptrdiff_t wrong_tag() const {
    for (std::ptrdiff_t row = 0; row < chains.batch; ++row)
      for (std::ptrdiff_t t = 0; t < chains.time; ++t)
        if (chains.mask(row, t) && (paths(row, t) < 0 || paths(row, t) >= chains.tags))
          return row * chains.time + t;
    return -1;
  }

  std::ptrdiff_t length(std::ptrdiff_t row) const {
    std::ptrdiff_t count_on = 0;
    for (std::ptrdiff_t t = 0; t < chains.time; ++t) count_on += chains.mask(row, t);
    return count_on;
  }
};

// What a row reads: whether NaN or +inf is among it, and the greatest finite magnitude.
struct RowScores {
  bool unusable = false;
  double size = 0;

  template <class Real>
  RowScores(const HostileProblem<Real>& problem, std::ptrdiff_t row) {
    const auto& chains = problem.chains;
    const std::ptrdiff_t length = problem.length(row);
    for (std::ptrdiff_t tag = 0; length > 0 && tag < chains.tags; ++tag) {
      add(static_cast<double>(chains.start(tag)));
      add(static_cast<double>(chains.end(tag)));
      for (std::ptrdiff_t t = 0; t < chains.time; ++t)
        if (chains.mask(row, t)) add(static_cast<double>(chains.emissions(row, t, tag)));
      for (std::ptrdiff_t next = 0; length > 1 && next < chains.tags; ++next)
        add(static_cast<double>(chains.transitions(tag, next)));
    }
  }

 private:
  void add(double score) {
    unusable = unusable || !(score < std::numeric_limits<double>::infinity());
    if (std::isfinite(score)) size = std::max(size, std::fabs(score));
  }
};
