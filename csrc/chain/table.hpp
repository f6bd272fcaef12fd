// A vector times a table, in the semirings of sums and of maxima: what all the recursions spend their time
// on.
#pragma once

#include <cstddef>
#include <limits>

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
                                                   const typename Lanes::Element* vector,
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

// max_i vector[i] + table[i, block]
template <class Lanes>
PYBERT_CRF_INLINE typename Lanes::Values max_step(const Shape<Lanes>& shape,
                                                  const typename Lanes::Element* vector,
                                                  const typename Lanes::Work* table, std::ptrdiff_t block) {
  using Values = typename Lanes::Values;
  constexpr std::ptrdiff_t width = Lanes::width;
  const typename Lanes::Work* row = table + block * shape.rows;
  const typename Lanes::Work* const end = row + shape.rows * width;
  const Values nothing = Lanes::all(-std::numeric_limits<typename Lanes::Work>::infinity());
  Values best[4] = {nothing, nothing, nothing, nothing};
  for (; row != end; row += Lanes::partials * width, vector += Lanes::partials) {
    best[0] = Lanes::max(Lanes::all(vector[0]) + Lanes::load(row), best[0]);
    if constexpr (Lanes::partials > 1)
      best[1] = Lanes::max(Lanes::all(vector[1]) + Lanes::load(row + width), best[1]);
    if constexpr (Lanes::partials > 2) {
      best[2] = Lanes::max(Lanes::all(vector[2]) + Lanes::load(row + 2 * width), best[2]);
      best[3] = Lanes::max(Lanes::all(vector[3]) + Lanes::load(row + 3 * width), best[3]);
    }
  }
  if constexpr (Lanes::partials == 1) return best[0];
  if constexpr (Lanes::partials == 2) return Lanes::max(best[0], best[1]);
  return Lanes::max(Lanes::max(best[0], best[1]), Lanes::max(best[2], best[3]));
}

// A table where it lies in memory.
template <class Lanes>
struct TableInMemory {
  const Shape<Lanes>& shape;
  const typename Lanes::Work* table;

  PYBERT_CRF_INLINE typename Lanes::Values sum(const typename Lanes::Element* vector,
                                               std::ptrdiff_t block) const {
    return propagate(shape, vector, table, block);
  }
  PYBERT_CRF_INLINE typename Lanes::Values max(const typename Lanes::Element* vector,
                                               std::ptrdiff_t block) const {
    return max_step(shape, vector, table, block);
  }
};

// A table of one block in registers (Lanes::keeps_table), for many steps. Rows that the table does not have
// are -inf, which leaves maxima alone; for sums `rows` are the table's.
template <class Lanes, int rows>
struct TableInRegisters {
  using Values = typename Lanes::Values;

  Values row[rows];

  TableInRegisters(const Shape<Lanes>& shape, const typename Lanes::Work* table) {
    const Values nothing = Lanes::all(-std::numeric_limits<typename Lanes::Work>::infinity());
    PYBERT_CRF_UNROLL
    for (int i = 0; i < rows; ++i) row[i] = i < shape.rows ? Lanes::load(table + i * Lanes::width) : nothing;
  }

  PYBERT_CRF_INLINE Values sum(const typename Lanes::Element* vector, std::ptrdiff_t) const {
    Partials<Lanes> partial;
    auto& sums = partial.sums;
    PYBERT_CRF_UNROLL
    for (int i = 0; i < rows; ++i)
      sums[i % Lanes::partials] = Lanes::fma(Lanes::all(vector[i]), row[i], sums[i % Lanes::partials]);
    return partial.total();
  }

  PYBERT_CRF_INLINE Values max(const typename Lanes::Element* vector, std::ptrdiff_t) const {
    Values best[rows];
    PYBERT_CRF_UNROLL
    for (int i = 0; i < rows; ++i) best[i] = Lanes::all(vector[i]) + row[i];
    PYBERT_CRF_UNROLL
    for (int half = rows / 2; half > 0; half /= 2) PYBERT_CRF_UNROLL
    for (int i = 0; i < half; ++i) best[i] = Lanes::max(best[i], best[i + half]);
    return best[0];
  }
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
