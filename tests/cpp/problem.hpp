// A batch of chains that owns its memory, in several memory layouts, and the results of the kernels on it.
//
// Buffers have exactly the size that the layout needs, so that an address sanitizer sees any step outside.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "chain.hpp"

using pybert_crf::BestPaths;
using pybert_crf::Chains;
using pybert_crf::LogPartition;
using pybert_crf::LogPartitionGradient;
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

// Everything that the kernels say about a problem.
template <class Real>
struct Results {
  std::vector<Real> log_z, alphas, d_emissions, d_start, d_transitions, d_end, scores;
  std::vector<std::int64_t> tags;
  View<Real, 3> alphas_view, d_emissions_view;

  Results(Problem<Real>& problem, int threads)
      : log_z(static_cast<std::size_t>(problem.batch)),
        d_start(problem.start.size()),
        d_transitions(problem.transitions.size()),
        d_end(problem.end.size()),
        scores(static_cast<std::size_t>(problem.batch)),
        tags(problem.mask.size()),
        alphas_view(view_of<Real>(alphas, problem.layout, problem.batch, problem.time, problem.tags)),
        d_emissions_view(
            view_of<Real>(d_emissions, problem.layout, problem.batch, problem.time, problem.tags)) {
    const auto chains = problem.chains();
    pybert_crf::cpu::log_partition<Real>(chains, {{log_z.data(), {1}}, alphas_view}, threads);
    const View<const Real, 3> known{alphas.data(),
                                    {alphas_view.stride[0], alphas_view.stride[1], alphas_view.stride[2]}};
    pybert_crf::cpu::log_partition_backward<Real>(chains, {problem.grad.data(), {1}}, known,
                                                  {d_emissions_view,
                                                   {d_start.data(), {1}},
                                                   {d_transitions.data(), {problem.tags, 1}},
                                                   {d_end.data(), {1}}},
                                                  threads);
    pybert_crf::cpu::viterbi<Real>(chains, {{tags.data(), {problem.time, 1}}, {scores.data(), {1}}}, threads);
  }
};
