// What the operations of one table say about a hostile problem. All memory is of the exact size, and holds
// what no operation may leave there until it is written.
#pragma once

#include <limits>

#include "hostile/problem.hpp"

constexpr std::int64_t no_tag = std::int64_t{1} << 40;

template <class Real>
struct HostileGradient {
  Array<Real> emissions, start, transitions, end;

  template <class Memory>
  HostileGradient(Memory& memory, const Chains<Real>& chains, Real unwritten)
      : emissions(array_of(memory, chains.batch * chains.time * chains.tags, unwritten)),
        start(array_of(memory, chains.tags, unwritten)),
        transitions(array_of(memory, chains.tags * chains.tags, unwritten)),
        end(array_of(memory, chains.tags, unwritten)) {}

  pybert_crf::Gradient<Real> out() const { return {emissions.data, start.data, transitions.data, end.data}; }
};

// The operations of values, without paths or with them: in two calls, and in one.
template <class Real>
struct Values {
  std::ptrdiff_t wrong, wrong_together;
  Array<Real> value, log_z, messages, value_together;
  HostileGradient<Real> gradient, gradient_together;

  static constexpr Real unwritten = -12345;

  template <class Memory, class Table>
  Values(Memory& memory, const HostileProblem<Real>& problem, const Table& table, const Paths& paths)
      : value(array_of(memory, problem.chains.batch, unwritten)),
        log_z(array_of(memory, problem.chains.batch, unwritten)),
        messages(
            array_of(memory, problem.chains.batch * problem.chains.time * problem.chains.tags, unwritten)),
        value_together(array_of(memory, problem.chains.batch, unwritten)),
        gradient(memory, problem.chains, unwritten),
        gradient_together(memory, problem.chains, unwritten) {
    const auto& chains = problem.chains;
    wrong = table.log_partition(chains, paths, {value.data, log_z.data, messages.data}, {problem.threads});
    if (wrong < 0)
      table.gradient(chains, paths, problem.grad, messages.data, log_z.data, gradient.out(),
                     {problem.threads});
    wrong_together = table.value_and_gradient(chains, paths, problem.grad, value_together.data,
                                              gradient_together.out(), {problem.threads});
  }
};

template <class Real>
struct Answers {
  Values<Real> sums, likelihood;
  Array<std::int64_t> tags, ranked_tags, samples;
  Array<Real> scores, ranked_scores, alphas;

  template <class Memory, class Table>
  Answers(Memory& memory, const HostileProblem<Real>& problem, const Table& table)
      : sums(memory, problem, table, Paths{nullptr, {0, 0}}),
        likelihood(memory, problem, table, problem.paths),
        tags(array_of(memory, problem.chains.batch * problem.chains.time, no_tag)),
        ranked_tags(array_of(memory, problem.count * problem.chains.batch * problem.chains.time, no_tag)),
        samples(array_of(memory, problem.samples * problem.chains.batch * problem.chains.time, no_tag)),
        scores(array_of(memory, problem.chains.batch, Values<Real>::unwritten)),
        ranked_scores(array_of(memory, problem.count * problem.chains.batch, Values<Real>::unwritten)),
        alphas(array_of(memory, problem.chains.batch * problem.chains.time * problem.chains.tags,
                        Values<Real>::unwritten)) {
    const auto& chains = problem.chains;
    const pybert_crf::cpu::Threads threads{problem.threads};
    table.viterbi(chains, {1, tags.data, scores.data}, threads);
    table.k_best(chains, {problem.count, ranked_tags.data, ranked_scores.data}, threads);
    table.log_alphas(chains, alphas.data, threads);
    table.sample(chains, {problem.samples, problem.uniforms, samples.data}, threads);
  }
};
