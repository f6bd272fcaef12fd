// A vector times a table of weights: what all the recursions of sums spend their time on.
#pragma once

#include <cstddef>

#include "chain/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The sum of up to four partial sums; those that a group does not use are not computed.
template <class Lanes>
struct Partials {
  typename Lanes::Values sums[4] = {Lanes::all(0), Lanes::all(0), Lanes::all(0), Lanes::all(0)};

  PYBERT_CRF_INLINE typename Lanes::Values total() const {
    if constexpr (Lanes::partials == 1) return sums[0];
    if constexpr (Lanes::partials == 2) return sums[0] + sums[1];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
};

// sum_i vector[i] * table[i, block]
template <class Lanes>
PYBERT_CRF_INLINE typename Lanes::Values propagate(const Shape<Lanes>& shape,
                                                   const typename Lanes::Cell* vector,
                                                   const typename Lanes::Work* table, std::ptrdiff_t block) {
  constexpr std::ptrdiff_t width = Lanes::width;
  const typename Lanes::Work* row = table + block * shape.rows;
  const typename Lanes::Work* const end = row + shape.rows * width;
  Partials<Lanes> partial;
  auto& sums = partial.sums;
  for (; row != end; row += Lanes::partials * width, vector += Lanes::partials) {
    sums[0] = Lanes::fma(Lanes::all(vector[0]), Lanes::load(row), sums[0]);
    if constexpr (Lanes::partials > 1)
      sums[1] = Lanes::fma(Lanes::all(vector[1]), Lanes::load(row + width), sums[1]);
    if constexpr (Lanes::partials > 2) {
      sums[2] = Lanes::fma(Lanes::all(vector[2]), Lanes::load(row + 2 * width), sums[2]);
      sums[3] = Lanes::fma(Lanes::all(vector[3]), Lanes::load(row + 3 * width), sums[3]);
    }
  }
  return partial.total();
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
