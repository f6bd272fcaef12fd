// One row of a batch: which of its positions make the chain, and what is emitted there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "chain.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Real>
struct Row {
  View<const Real, 2> scores;       // (time, tags)
  const std::ptrdiff_t* positions;  // (length): the unmasked positions, in order
  std::ptrdiff_t length;
  std::ptrdiff_t tags;

  // The emission of a tag at the i-th position of the chain.
  PYBERT_CRF_INLINE Real emission(std::ptrdiff_t i, std::ptrdiff_t tag) const {
    return scores(positions[i], tag);
  }

  // Those of the tags from `block` on, one for each lane; 0 in the lanes beyond the last tag.
  template <class Lanes>
  PYBERT_CRF_INLINE typename Lanes::Values emissions(std::ptrdiff_t i, std::ptrdiff_t block) const {
    const Real* at = scores.data + positions[i] * scores.stride[0];
    return scores.stride[1] == 1
               ? Lanes::load_some(at + block, tags - block)
               : Lanes::gather_some(at + block * scores.stride[1], scores.stride[1], tags - block);
  }
};

// Fills `positions` (time + 1) with the unmasked positions of one row, in order; returns how many there are.
PYBERT_CRF_INLINE std::ptrdiff_t find_chain(const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time,
                                            std::ptrdiff_t* positions) {
  std::ptrdiff_t length = 0;
  std::ptrdiff_t t = 0;
  // Eight at a time, where all of them are on or off: nearly everywhere.
  for (; mask.stride[0] == 1 && t + 8 <= time; t += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, mask.data + t, sizeof(eight));
    if (eight == 0) continue;
    for (std::ptrdiff_t k = 0; k < 8; ++k) positions[length + k] = t + k;
    if (eight == 0x0101010101010101) {
      length += 8;
      continue;
    }
    for (std::ptrdiff_t k = 0; k < 8; ++k) {
      positions[length] = t + k;
      length += mask.data[t + k] != 0;
    }
  }
  for (; t < time; ++t) {
    positions[length] = t;
    length += mask(t) != 0;
  }
  return length;
}

// How many positions of one row are unmasked.
PYBERT_CRF_INLINE std::ptrdiff_t count_chain(const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time) {
  std::ptrdiff_t length = 0;
  if (mask.stride[0] == 1) {  // a loop that the compiler makes vectors of
    for (std::ptrdiff_t t = 0; t < time; ++t) length += mask.data[t] != 0;
  } else {
    for (std::ptrdiff_t t = 0; t < time; ++t) length += mask(t) != 0;
  }
  return length;
}

// Sets `width` numbers to `value` at each position outside the chain.
template <class T>
PYBERT_CRF_INLINE void fill_outside(const std::ptrdiff_t* positions, std::ptrdiff_t length,
                                    std::ptrdiff_t time, std::ptrdiff_t width, T* numbers, T value) {
  if (length > 0 && positions[length - 1] - positions[0] == length - 1) {  // the chain has no gaps
    for (std::ptrdiff_t at = 0; at < positions[0] * width; ++at) numbers[at] = value;
    for (std::ptrdiff_t at = (positions[0] + length) * width; at < time * width; ++at) numbers[at] = value;
    return;
  }
  std::ptrdiff_t next = 0;  // the first position not yet done
  for (std::ptrdiff_t i = 0; i <= length; ++i) {
    const std::ptrdiff_t stop = i < length ? positions[i] : time;
    for (std::ptrdiff_t at = next * width; at < stop * width; ++at) numbers[at] = value;
    next = stop + 1;
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
