// One row of a batch: which of its positions make the chain, and what is emitted there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "chain.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Real>
struct Row {
  View<const Real, 2> scores;       // (time, tags)
  const std::ptrdiff_t* positions;  // (length): the unmasked positions, in order
  std::ptrdiff_t length;
  std::ptrdiff_t tags;
  Real* gathered;  // (tags): where tags that do not lie side by side are brought together

  // The emissions of the i-th position of the chain, side by side.
  PYBERT_CRF_INLINE const Real* emission(std::ptrdiff_t i) const {
    const Real* at = scores.data + positions[i] * scores.stride[0];
    if (scores.stride[1] == 1) return at;
    for (std::ptrdiff_t j = 0; j < tags; ++j) gathered[j] = at[j * scores.stride[1]];
    return gathered;
  }
};

// Fills `positions` (time + 1) with the unmasked positions of one row, in order; returns how many there are.
PYBERT_CRF_INLINE std::ptrdiff_t find_chain(const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time,
                                            std::ptrdiff_t* positions) {
  std::ptrdiff_t length = 0;
  for (std::ptrdiff_t t = 0; t < time; ++t) {
    positions[length] = t;
    length += mask(t) != 0;
  }
  return length;
}

// Sets `width` numbers to `value` at each position outside the chain.
template <class T>
PYBERT_CRF_INLINE void fill_outside(const std::ptrdiff_t* positions, std::ptrdiff_t length,
                                    std::ptrdiff_t time, std::ptrdiff_t width, T* numbers, T value) {
  std::ptrdiff_t next = 0;  // the first position not yet done
  for (std::ptrdiff_t i = 0; i <= length; ++i) {
    const std::ptrdiff_t stop = i < length ? positions[i] : time;
    for (std::ptrdiff_t at = next * width; at < stop * width; ++at) numbers[at] = value;
    next = stop + 1;
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
