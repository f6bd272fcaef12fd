// Best paths and samples, over a batch: rows to threads.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/k_best.hpp"
#include "chain/path_score.hpp"
#include "chain/sample.hpp"
#include "chain/viterbi.hpp"
#include "cpu/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Lanes, bool OneBlock, class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  ParameterMemory<Lanes, Scores<Lanes>> parameters(chains.tags);
  Scores<Lanes>& scores = *parameters;
  copy_parameters(chains, scores);
  const auto make_worker = [&] {
    return [&, memory = RowMemory<Real>(chains),
            vectors = Buffer<Real>(2 * chains.time * scores.shape.padded)](std::ptrdiff_t index) mutable {
      std::int64_t* path = out.tags + index * chains.time;
      memory.find(index);
      memory.fill_masked(path, 1, std::int64_t{-1});
      const Row<Real> row = memory[left];
      bool nan = false;
      if (row.length > 0)
        nan = best_path<Lanes, OneBlock>(
            scores, row, {vectors.data(), vectors.data() + chains.time * scores.shape.padded},
            [&](std::ptrdiff_t i, std::ptrdiff_t tag) { path[row.positions[i]] = tag; });
      const double score = path_score(
          chains, row, [&](std::ptrdiff_t i) { return static_cast<std::ptrdiff_t>(path[row.positions[i]]); });
      out.scores[index] = nan ? std::numeric_limits<Real>::quiet_NaN() : static_cast<Real>(score);
    };
  };
  for_each_task(chains.batch, count_steps(chains) / 2, threads, make_worker);
}

template <class Real>
void k_best(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  const std::ptrdiff_t k = out.count;
  const auto make_worker = [&] {
    return [&, memory = RowMemory<Real>(chains), lists = Buffer<double>(2 * chains.tags * k),
            origins = Buffer<Origin>((chains.time > 0 ? chains.time : 1) * chains.tags * k)](
               std::ptrdiff_t index) mutable {
      const auto path = [&](std::ptrdiff_t rank) {
        return out.tags + (rank * chains.batch + index) * chains.time;
      };
      memory.find(index);
      const Row<Real> row = memory[left];
      for (std::ptrdiff_t rank = 0; rank < k; ++rank) {
        fill(path(rank), chains.time, std::int64_t{-1});
        out.scores[rank * chains.batch + index] = -std::numeric_limits<Real>::infinity();
      }
      if (row.length == 0) {  // one path, of no position
        out.scores[index] = 0;
        return;
      }
      k_best_paths(
          chains, row, k, {lists.data(), lists.data() + chains.tags * k, origins.data()},
          [&](std::ptrdiff_t rank) {
            out.scores[rank * chains.batch + index] =
                static_cast<Real>(path_score(chains, row, [&](std::ptrdiff_t i) {
                  return static_cast<std::ptrdiff_t>(path(rank)[row.positions[i]]);
                }));
          },
          [&](std::ptrdiff_t rank, std::ptrdiff_t i, std::ptrdiff_t tag) {
            path(rank)[row.positions[i]] = tag;
          });
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
            scratch = LogMemory(weights.shape.padded)](std::ptrdiff_t index) mutable {
      Real* own = alphas + index * chains.time * tags;
      memory.find(index);
      memory.fill_masked(own, tags, Real{0});
      const Row<Real> row = memory[left];
      if (row.length == 0) return;
      log_forward(weights, log_chain(chains), row, *scratch, [&](std::ptrdiff_t i, const double* alpha) {
        for (std::ptrdiff_t j = 0; j < tags; ++j)
          own[row.positions[i] * tags + j] = static_cast<Real>(alpha[j]);
      });
    };
  });
}

template <class Lanes, class Real>
void sample(const Chains<Real>& chains, const Samples& out, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const std::ptrdiff_t tags = chains.tags;
  const auto make_worker = [&] {
    return [&, memory = RowMemory<Real>(chains), scratch = LogMemory(weights.shape.padded),
            alphas = Buffer<double>((chains.time + 1) * tags)](std::ptrdiff_t index) mutable {
      memory.find(index);
      const Row<Real> row = memory[left];
      double log_z = -std::numeric_limits<double>::infinity();
      if (row.length > 0)
        log_z = log_forward(weights, log_chain(chains), row, *scratch,
                            [&](std::ptrdiff_t i, const double* alpha) {
                              for (std::ptrdiff_t j = 0; j < tags; ++j)
                                alphas.data()[i * tags + j] = alpha[j];
                            });
      for (std::ptrdiff_t n = 0; n < out.count; ++n) {
        std::int64_t* path = out.tags + (n * chains.batch + index) * chains.time;
        fill(path, chains.time, std::int64_t{-1});
        if (!(log_z > -std::numeric_limits<double>::infinity())) continue;
        sample_path(
            log_chain(chains), row, alphas.data(), alphas.data() + chains.time * tags,
            [&](std::ptrdiff_t i) { return out.uniforms(n, index, row.positions[i]); },
            [&](std::ptrdiff_t i, std::ptrdiff_t tag) { path[row.positions[i]] = tag; });
      }
    };
  };
  for_each_task(chains.batch, 8 * count_steps(chains), threads, make_worker);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
