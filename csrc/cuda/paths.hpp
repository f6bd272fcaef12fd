// What a group of lanes of any kind does with a row to find its best path; see cuda/rows.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/path_score.hpp"
#include "chain/viterbi.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// `memory`: 2 * time * padded cells.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void best_path_of_row(const Chains<Real>& chains, const Scores<Lanes>& scores,
                                          const Row<Real>& row, std::ptrdiff_t index,
                                          const BestPaths<Real>& out, typename Lanes::Cell* memory) {
  std::int64_t* const tags = out.tags + index * chains.time;
  Lanes::each(chains.time, [&](std::ptrdiff_t t) {
    if (chains.mask(index, t) == 0) tags[t] = -1;
  });
  const std::ptrdiff_t whole = chains.time * scores.shape.padded;
  BestPath<Lanes, OneBlock, Real> path(scores, row, {memory, memory + whole});
  const TableInMemory<Lanes> table{scores};
  const auto keep = [&](std::ptrdiff_t i) {
    Lanes::in_lane_of(0, [&] { tags[row.positions[i]] = path.tag; });
  };
  for (std::ptrdiff_t i = 0; i < row.length; ++i) path.forward(i, table);
  if (row.length > 0) {
    path.turn();
    keep(row.length - 1);
  }
  for (std::ptrdiff_t i = row.length - 2; i >= 0; --i) {
    path.backward(i);
    keep(i);
  }
  Lanes::sync();
  const double score = path_score<Lanes>(
      chains, row, [&](std::ptrdiff_t i) { return static_cast<std::ptrdiff_t>(tags[row.positions[i]]); });
  const bool nan = row.length > 0 && path.met_nan();
  Lanes::in_lane_of(0, [&] {
    out.scores[index] = nan ? std::numeric_limits<Real>::quiet_NaN() : static_cast<Real>(score);
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
