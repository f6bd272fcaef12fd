// A batch of chains that owns its memory, in several memory layouts, and the results of the kernels on it.
//
// Buffers have exactly the size that the layout needs, so that an address sanitizer sees any step outside.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "operations.hpp"

using pybert_crf::Chains;
using pybert_crf::Paths;
using pybert_crf::View;

enum class Layout { batch_first, time_first, tags_first };

constexpr double infinity = std::numeric_limits<double>::infinity();

// The view of a (batch, time, tags) array that lies in memory in the order of `layout`.
template <class T>
View<T, 3> view_of(std::vector<std::remove_const_t<T>>& memory, Layout layout, std::ptrdiff_t batch,
                   std::ptrdiff_t time, std::ptrdiff_t tags) {
  memory.resize(static_cast<std::size_t>(batch * time * tags));
  switch (layout) {
    case Layout::batch_first:
      return {memory.data(), {time * tags, tags, 1}};
    case Layout::time_first:
      return {memory.data(), {tags, batch * tags, 1}};
    default:
      return {memory.data(), {1, batch, batch * time}};
  }
}

template <class Real>
struct Problem {
  std::ptrdiff_t batch, time, tags;
  Layout layout;
  std::vector<Real> emissions, start, transitions, end, grad;
  std::vector<std::uint8_t> mask;
  std::vector<std::int64_t> tags_given;  // (batch, time): a path for each row; out of range where masked
  std::vector<double> uniforms;          // (2, batch, time)

  // Scores are whole multiples of `grain` (0: any number) within +-scale; each is -inf with probability
  // `forbidden`, each position is masked with probability `masked`, and holds NaN there.
  Problem(std::ptrdiff_t b, std::ptrdiff_t t, std::ptrdiff_t k, Layout l, unsigned seed, double scale = 2,
          double grain = 0, double forbidden = 0, double masked = 0)
      : batch(b), time(t), tags(k), layout(l) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> unit(0, 1);
    const auto score = [&](double chance) {
      if (unit(random) < chance) return static_cast<Real>(-infinity);
      const double any = scale * (2 * unit(random) - 1);
      return static_cast<Real>(grain > 0 ? grain * std::round(any / grain) : any);
    };
    const auto view = view_of<Real>(emissions, layout, batch, time, tags);
    for (std::ptrdiff_t row = 0; row < batch; ++row) {
      for (std::ptrdiff_t at = 0; at < time; ++at) {
        mask.push_back(unit(random) >= masked);
        for (std::ptrdiff_t tag = 0; tag < tags; ++tag)
          view(row, at, tag) = mask.back() ? score(forbidden / 4) : std::numeric_limits<Real>::quiet_NaN();
      }
      grad.push_back(static_cast<Real>(unit(random) * 2 - 1));
    }
    for (std::ptrdiff_t tag = 0; tag < tags; ++tag) {
      start.push_back(score(forbidden));
      end.push_back(score(forbidden));
      for (std::ptrdiff_t next = 0; next < tags; ++next) transitions.push_back(score(forbidden));
    }
    for (const std::uint8_t on : mask)
      tags_given.push_back(on ? static_cast<std::int64_t>(unit(random) * static_cast<double>(tags)) : -100);
    for (std::size_t at = 0; at < 2 * mask.size(); ++at) uniforms.push_back(unit(random));
  }

  Chains<Real> chains() {
    return {batch,
            time,
            tags,
            view_of<const Real>(emissions, layout, batch, time, tags),
            {mask.data(), {time, 1}},
            {start.data(), {1}},
            {transitions.data(), {tags, 1}},
            {end.data(), {1}}};
  }
};

// Everything that the kernels say about a problem, arrays in the order of the axes.
template <class Real>
struct Results {
  static constexpr std::ptrdiff_t count = 3;  // of best paths

  std::vector<Real> log_z, value, messages, likelihood, alphas;
  std::vector<Real> d_emissions, d_start, d_transitions, d_end;  // of grad * log_z
  std::vector<Real> t_emissions, t_start, t_transitions, t_end;  // of grad * likelihood
  std::vector<Real> scores, ranked_scores;                       // (batch), (count, batch)
  std::vector<std::int64_t> tags, ranked_tags, samples;          // (batch, time), (count or 2, batch, time)

  Results(Problem<Real>& problem, int threads)
      : log_z(problem.grad.size()),
        value(log_z),
        messages(problem.mask.size() * problem.start.size()),
        likelihood(log_z),
        alphas(messages),
        d_emissions(messages),
        d_start(problem.start.size()),
        d_transitions(problem.transitions.size()),
        d_end(d_start),
        t_emissions(messages),
        t_start(d_start),
        t_transitions(d_transitions),
        t_end(d_start),
        scores(log_z),
        ranked_scores(static_cast<std::size_t>(count) * log_z.size()),
        tags(problem.mask.size()),
        ranked_tags(static_cast<std::size_t>(count) * tags.size()),
        samples(2 * tags.size()) {
    const auto& kernels = pybert_crf::cpu::operations<Real>();
    const auto chains = problem.chains();
    const Paths none{nullptr, {0, 0}};
    const Paths given{problem.tags_given.data(), {problem.time, 1}};
    const Real* grad = problem.grad.data();
    kernels.log_partition(chains, given, {likelihood.data(), log_z.data(), messages.data()}, {threads});
    kernels.log_partition(chains, none, {value.data(), log_z.data(), messages.data()}, {threads});
    kernels.gradient(chains, none, grad, messages.data(), log_z.data(),
                     {d_emissions.data(), d_start.data(), d_transitions.data(), d_end.data()}, {threads});
    kernels.gradient(chains, given, grad, messages.data(), log_z.data(),
                     {t_emissions.data(), t_start.data(), t_transitions.data(), t_end.data()}, {threads});
    kernels.viterbi(chains, {1, tags.data(), scores.data()}, {threads});
    kernels.k_best(chains, {count, ranked_tags.data(), ranked_scores.data()}, {threads});
    kernels.log_alphas(chains, alphas.data(), {threads});
    kernels.sample(
        chains,
        {2, {problem.uniforms.data(), {problem.batch * problem.time, problem.time, 1}}, samples.data()},
        {threads});
  }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  // An empty vector's data may be null, which memcmp must not be given.
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Value and gradient in one call are those of two.
template <class Real>
void test_together(Problem<Real>& problem, const Results<Real>& apart, int threads) {
  const auto& kernels = pybert_crf::cpu::operations<Real>();
  const Paths none{nullptr, {0, 0}};
  const Paths given{problem.tags_given.data(), {problem.time, 1}};
  std::vector<Real> value(apart.value), emissions(apart.d_emissions), start(apart.d_start),
      transitions(apart.d_transitions), end(apart.d_end);
  const auto run = [&](const Paths& paths) {
    for (auto* out : {&value, &emissions, &start, &transitions, &end})
      std::fill(out->begin(), out->end(), Real{7});
    const auto wrong = kernels.value_and_gradient(
        problem.chains(), paths, problem.grad.data(), value.data(),
        {emissions.data(), start.data(), transitions.data(), end.data()}, {threads});
    CHECK(wrong == -1);
  };
  run(none);
  CHECK(same_bits(value, apart.value));
  CHECK(same_bits(emissions, apart.d_emissions));
  CHECK(same_bits(start, apart.d_start));
  CHECK(same_bits(transitions, apart.d_transitions));
  CHECK(same_bits(end, apart.d_end));
  run(given);
  CHECK(same_bits(value, apart.likelihood));
  CHECK(same_bits(emissions, apart.t_emissions));
  CHECK(same_bits(start, apart.t_start));
  CHECK(same_bits(transitions, apart.t_transitions));
  CHECK(same_bits(end, apart.t_end));
}

// Whether the instruction set that PYBERT_CRF_ISA names can be used here; says which is.
inline bool has_instruction_set() {
  try {
    std::printf("instruction set: %s\n", pybert_crf::cpu::instruction_set());
    return true;
  } catch (const std::runtime_error& error) {
    std::printf("skipped: %s\n", error.what());
    return false;
  }
}
