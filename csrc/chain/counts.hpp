// Expected counts of tags and of pairs of neighbours, which are the gradient of the parameters.
#pragma once

#include <cstddef>

#include "chain/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// The counts of several rows, in double: thousands of small numbers go into each. What stands in row i is
// added to by the lane that owns tag i.
struct Counts {
  double* start;     // (padded)
  double* end;       // (padded)
  double* products;  // a table of Shape: pairs, yet to be multiplied by W
  double* direct;    // (tags, tags): pairs

  template <class Lanes>
  static PYBERT_CRF_INLINE std::ptrdiff_t size(const Shape<Lanes>& shape) {
    return 2 * shape.padded + shape.table() + shape.tags * shape.tags;
  }

  template <class Lanes>
  static PYBERT_CRF_INLINE Counts at(const Shape<Lanes>& shape, double* memory) {
    return {memory, memory + shape.padded, memory + 2 * shape.padded,
            memory + 2 * shape.padded + shape.table()};
  }
};

// Zeroes the counts before their first row.
template <class Lanes>
PYBERT_CRF_FUNCTION void clear_counts(const Shape<Lanes>& shape, const Counts& counts) {
  Lanes::each(shape.padded, [&](std::ptrdiff_t j) {
    counts.start[j] = 0;
    counts.end[j] = 0;
  });
  Lanes::each(shape.table(), [&](std::ptrdiff_t at) { counts.products[at] = 0; });
  Lanes::each(shape.tags, [&](std::ptrdiff_t i) {
    for (std::ptrdiff_t j = 0; j < shape.tags; ++j) counts.direct[i * shape.tags + j] = 0;
  });
  Lanes::sync();
}

// Adds the table of pairs that the scaled recursion has counted.
template <class Lanes>
PYBERT_CRF_FUNCTION void add_pairs(const Shape<Lanes>& shape, const typename Lanes::Element* pairs,
                                   const Counts& counts) {
  Lanes::each(shape.table(), [&](std::ptrdiff_t at) { counts.products[at] += pairs[at]; });
}

// The gradient of the pair (i, j), and with j = 0 of the tag i too, from the counts of all rows: sum(at) is
// the number that stands `at` numbers from the first of the counts.
template <class Lanes, class Real, class Sum>
PYBERT_CRF_INLINE void store_gradient(const Weights<Lanes>& weights, std::ptrdiff_t i, std::ptrdiff_t j,
                                      const Sum& sum, const Gradient<Real>& out) {
  const Shape<Lanes>& shape = weights.shape;
  const std::ptrdiff_t products = 2 * shape.padded;
  const std::ptrdiff_t direct = products + shape.table();
  const std::ptrdiff_t at = shape.at(i, j);
  out.transitions[i * shape.tags + j] =
      static_cast<Real>(sum(products + at) * weights.table[left][at] + sum(direct + i * shape.tags + j));
  if (j > 0) return;
  out.start[i] = static_cast<Real>(sum(i));
  out.end[i] = static_cast<Real>(sum(shape.padded + i));
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
