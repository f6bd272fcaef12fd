// Best paths and samples, over a batch: rows to threads.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "chain/k_best.hpp"
#include "chain/path_score.hpp"
#include "chain/sample.hpp"
#include "chain/viterbi.hpp"
#include "cpu/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// One row at work.
template <class Lanes, bool OneBlock, class Real>
class ViterbiRow {
 public:
  using Path = BestPath<Lanes, OneBlock, Real>;
  using Table =
      std::conditional_t<OneBlock && Lanes::keeps_table, TableInRegisters<Lanes>, TableInMemory<Lanes>>;

  ViterbiRow(const Chains<Real>& chains, const Scores<Lanes>& scores, const BestPaths<Real>& out)
      : chains_(chains),
        scores_(scores),
        out_(out),
        memory_(chains),
        vectors_(2 * chains.time * scores.shape.padded) {}

  Path begin(std::ptrdiff_t row) {
    row_ = row;
    tags_ = out_.tags + row * chains_.time;
    memory_.find(row);
    memory_.fill_masked(tags_, 1, std::int64_t{-1});
    return {scores_, memory_.row(), {vectors_.data(), vectors_.data() + chains_.time * scores_.shape.padded}};
  }

  std::ptrdiff_t length() const { return memory_.length(); }
  const Scores<Lanes>& scores() const { return scores_; }

  PYBERT_CRF_INLINE void keep(std::ptrdiff_t i, std::ptrdiff_t tag) { tags_[memory_.positions()[i]] = tag; }

  void finish(const Path& path) {
    const Row<Real> row = memory_.row();
    const double score = path_score<Lanes>(
        chains_, row, [&](std::ptrdiff_t i) { return static_cast<std::ptrdiff_t>(tags_[row.positions[i]]); });
    const bool nan = row.length > 0 && path.met_nan();
    out_.scores[row_] = nan ? std::numeric_limits<Real>::quiet_NaN() : static_cast<Real>(score);
  }

 private:
  const Chains<Real>& chains_;
  const Scores<Lanes>& scores_;
  const BestPaths<Real>& out_;
  RowMemory<Real> memory_;
  Buffer<Real> vectors_;
  std::ptrdiff_t row_ = 0;
  std::int64_t* tags_ = nullptr;
};

// What is left of a row of which the forward steps before `done` are done: back to `stop`.
template <class State, class Path, class Table>
PYBERT_CRF_INLINE void find_rest(State& state, Path& path, const Table& table, std::ptrdiff_t done,
                                 std::ptrdiff_t stop) {
  const std::ptrdiff_t length = state.length();
  for (std::ptrdiff_t i = done; i < length; ++i) path.forward(i, table);
  if (length > 0) {
    path.turn();
    state.keep(length - 1, path.tag);
  }
  for (std::ptrdiff_t i = length - 2; i >= stop; --i) {
    path.backward(i);
    state.keep(i, path.tag);
  }
}

// The rows of a group, one for each `place`: the positions that all of them have together.
template <class State, std::size_t... place>
PYBERT_CRF_INLINE void find_paths(State* states, const RowOrder& order, std::ptrdiff_t first,
                                  std::index_sequence<place...>) {
  typename State::Path paths[] = {states[place].begin(order[first + static_cast<std::ptrdiff_t>(place)])...};
  std::ptrdiff_t shared = states[0].length();
  ((shared = lesser(shared, states[place].length())), ...);
  const typename State::Table table{states[0].scores()};
  for (std::ptrdiff_t i = 0; i < shared; ++i) (paths[place].forward(i, table), ...);
  const std::ptrdiff_t last = shared > 0 ? shared - 1 : 0;
  (find_rest(states[place], paths[place], table, shared, last), ...);
  for (std::ptrdiff_t i = last - 1; i >= 0; --i) {
    (paths[place].backward(i), ...);
    (states[place].keep(i, paths[place].tag), ...);
  }
  (states[place].finish(paths[place]), ...);
}

template <class Lanes, bool OneBlock, class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  ParameterMemory<Lanes, Scores<Lanes>> parameters(chains.tags);
  Scores<Lanes>& scores = *parameters;
  copy_parameters(chains, 0, scores.shape.rows, scores);
  using State = ViterbiRow<Lanes, OneBlock, Real>;
  // Of many tags, one row keeps the machine busy; of few rows, each thread wants its own.
  const std::ptrdiff_t group = OneBlock && chains.batch >= 8 * static_cast<std::ptrdiff_t>(threads) ? 4 : 1;
  const RowOrder order(chains);
  for_each_task((chains.batch + group - 1) / group, count_steps(chains) / 2, threads, [&] {
    return [&, states = Several<State, 4>(chains, scores, out)](std::ptrdiff_t task) mutable {
      const std::ptrdiff_t first = task * group;
      if (group == 4 && first + 4 <= chains.batch) {
        find_paths(states.each, order, first, std::make_index_sequence<4>{});
        return;
      }
      for (std::ptrdiff_t row = first; row < lesser(first + group, chains.batch); ++row)
        find_paths(states.each, order, row, std::make_index_sequence<1>{});
    };
  });
}

template <class Lanes, class Real>
void k_best(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  const std::ptrdiff_t k = out.count;
  const auto make_worker = [&] {
    return [&, memory = RowMemory<Real>(chains), lists = Buffer<double>(2 * chains.tags * k),
            origins = Buffer<Origin>((chains.time > 0 ? chains.time : 1) * chains.tags * k)](
               std::ptrdiff_t index) mutable {
      memory.find(index);
      k_best_of_row<Lanes>(chains, memory.row(), index, out,
                           {lists.data(), lists.data() + chains.tags * k, origins.data()});
    };
  };
  for_each_task(chains.batch, 4 * count_steps(chains) * static_cast<double>(k), threads, make_worker);
}

template <class Lanes, class Real>
void log_alphas(const Chains<Real>& chains, Real* alphas, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const std::ptrdiff_t tags = chains.tags;
  for_each_task(chains.batch, 8 * count_steps(chains), threads, [&] {
    return [&, memory = RowMemory<Real>(chains),
            scratch = LogMemory<Lanes>(weights.shape.padded)](std::ptrdiff_t index) mutable {
      Real* own = alphas + index * chains.time * tags;
      memory.find(index);
      memory.fill_masked(own, tags, Real{0});
      const Row<Real> row = memory.row();
      if (row.length == 0) return;
      log_forward(weights, log_chain(chains), row, *scratch,
                  [&](std::ptrdiff_t i, std::ptrdiff_t j, double alpha) {
                    own[row.positions[i] * tags + j] = static_cast<Real>(alpha);
                  });
    };
  });
}

template <class Lanes, class Real>
void sample(const Chains<Real>& chains, const Samples& out, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const auto make_worker = [&] {
    return [&, memory = RowMemory<Real>(chains), scratch = LogMemory<Lanes>(weights.shape.padded),
            alphas = Buffer<double>(chains.time * chains.tags)](std::ptrdiff_t index) mutable {
      memory.find(index);
      samples_of_row(weights, log_chain(chains), memory.row(), chains, index, out, alphas.data(), *scratch);
    };
  };
  for_each_task(chains.batch, 8 * count_steps(chains), threads, make_worker);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
