// Best paths and samples, over a batch: rows to threads.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "chain/k_best.hpp"
#include "chain/sample.hpp"
#include "chain/viterbi.hpp"
#include "cpu/rows.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The memory of a row at work.
template <class Lanes, bool OneBlock, class Real>
class ViterbiMemory {
 public:
  using Path = BestPath<Lanes, OneBlock, Real>;

  ViterbiMemory(const Chains<Real>& chains, const Scores<Lanes>& scores)
      : chains_(chains),
        scores_(scores),
        positions_(chains),
        vectors_(Path::memory_size(chains, scores.shape)) {}

  Path begin(std::ptrdiff_t index, const BestPaths<Real>& out) const {
    return {chains_, scores_, positions_.find(index), out, vectors_.data()};
  }

 private:
  const Chains<Real>& chains_;
  const Scores<Lanes>& scores_;
  RowMemory<Real> positions_;
  Buffer<Real> vectors_;
};

// What is left of a row of a group, of which the positions before `shared` are shared.
template <class Path, class Table>
PYBERT_CRF_INLINE void turn_back(Path& path, const Table& table, std::ptrdiff_t shared) {
  if (path.length() > shared || shared == 0) {
    path.find_rest(table, shared, shared > 0 ? shared - 1 : 0);
  } else {
    path.turn();
  }
}

// The rows of a group, which one thread takes through the positions that all of them have together.
template <class Path, class Table, std::size_t... n>
PYBERT_CRF_INLINE void find_paths(Path* paths, const Table& table, std::index_sequence<n...>) {
  std::ptrdiff_t shared = paths[0].length();
  ((shared = lesser(shared, paths[n].length())), ...);
  if (shared > 0) (paths[n].start(table), ...);
  for (std::ptrdiff_t i = 1; i < shared; ++i) (paths[n].forward(i, table), ...);
  (turn_back(paths[n], table, shared), ...);
  for (std::ptrdiff_t i = shared - 2; i >= 0; --i) (paths[n].backward(i), ...);
  (paths[n].finish(), ...);
}

template <class Lanes, bool OneBlock, class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  ParameterMemory<Lanes, Scores<Lanes>> parameters(chains.tags);
  Scores<Lanes>& scores = *parameters;
  copy_parameters(chains, 0, scores.shape.rows, scores);
  using Memory = ViterbiMemory<Lanes, OneBlock, Real>;
  using Table =
      std::conditional_t<OneBlock && Lanes::keeps_table,
                         TableInRegisters<Lanes, static_cast<int>(Lanes::width)>, TableInMemory<Lanes>>;
  // Of many tags, one row keeps the machine busy; of few rows, each thread wants its own.
  const std::ptrdiff_t group = OneBlock && chains.batch >= 8 * static_cast<std::ptrdiff_t>(threads) ? 4 : 1;
  const RowOrder order(chains);
  for_each_task((chains.batch + group - 1) / group, count_steps(chains) / 2, threads, [&] {
    return [&, memory = make_array<Memory, 4>(chains, scores)](std::ptrdiff_t task) {
      const Table table{scores.shape, scores.table[left]};
      const std::ptrdiff_t first = task * group;
      if constexpr (OneBlock)
        if (group == 4 && first + 4 <= chains.batch) {
          typename Memory::Path paths[] = {
              memory[0].begin(order[first], out), memory[1].begin(order[first + 1], out),
              memory[2].begin(order[first + 2], out), memory[3].begin(order[first + 3], out)};
          find_paths(paths, table, std::make_index_sequence<4>{});
          return;
        }
      for (std::ptrdiff_t row = first; row < lesser(first + group, chains.batch); ++row) {
        auto path = memory[0].begin(order[row], out);
        path.find_rest(table, 0, 0);
        path.finish();
      }
    };
  });
}

template <class Lanes, class Real>
void k_best(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  const std::ptrdiff_t k = out.count;
  const auto make_worker = [&] {
    return [&, positions = RowMemory<Real>(chains), lists = Buffer<double>(2 * chains.tags * k),
            origins =
                Buffer<Origin>((chains.time > 0 ? chains.time : 1) * chains.tags * k)](std::ptrdiff_t index) {
      k_best_of_row<Lanes>(chains, positions.find(index), out,
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
  for_each_task(chains.batch, 8 * count_steps(chains), threads, [&] {
    return [&, positions = RowMemory<Real>(chains),
            logs = Buffer<double>(LogScratch<Lanes>::parts * weights.shape.padded)](std::ptrdiff_t index) {
      log_alphas_of_row(weights, chains, positions.find(index),
                        LogScratch<Lanes>::at(weights.shape.padded, logs.data()),
                        alphas + index * chains.time * chains.tags);
    };
  });
}

template <class Lanes, class Real>
void sample(const Chains<Real>& chains, const Samples& out, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  for_each_task(chains.batch, 8 * count_steps(chains), threads, [&] {
    return [&, positions = RowMemory<Real>(chains),
            logs = Buffer<double>(LogScratch<Lanes>::parts * weights.shape.padded),
            alphas = Buffer<double>(chains.time * chains.tags)](std::ptrdiff_t index) {
      samples_of_row(weights, chains, positions.find(index), out, alphas.data(),
                     LogScratch<Lanes>::at(weights.shape.padded, logs.data()));
    };
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
