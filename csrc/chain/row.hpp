// One row of a batch: which of its positions make the chain, and the emissions there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lanes/math.hpp"
#include "problem.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Calls work(stride) with a type that tells the compiler of a stride of one, whose loop it makes vectors of.
template <class Work>
PYBERT_CRF_INLINE auto with_stride(std::ptrdiff_t stride, const Work& work) {
  return stride == 1 ? work(std::integral_constant<std::ptrdiff_t, 1>{}) : work(stride);
}

template <class Real>
struct Row {
  std::ptrdiff_t index;             // of the row in the batch
  View<const Real, 2> scores;       // (time, tags)
  const std::ptrdiff_t* positions;  // (length): the unmasked positions, in order
  std::ptrdiff_t length;
  std::ptrdiff_t tags;

  // The emission of a tag at the i-th position of the chain.
  PYBERT_CRF_INLINE Real emission(std::ptrdiff_t i, std::ptrdiff_t tag) const {
    return scores(positions[i], tag);
  }

  // The emissions of the tags from `block` on, one for each lane; 0 in the lanes beyond the last tag.
  template <class Lanes>
  PYBERT_CRF_INLINE typename Lanes::Values emissions(std::ptrdiff_t i, std::ptrdiff_t block) const {
    const Real* at = scores.data + positions[i] * scores.stride[0];
    return scores.stride[1] == 1
               ? Lanes::load_some(at + block, tags - block)
               : Lanes::gather_some(at + block * scores.stride[1], scores.stride[1], tags - block);
  }

  // Whether NaN or +inf is among the emissions of a tag.
  PYBERT_CRF_INLINE bool emits_nan(std::ptrdiff_t tag) const {
    bool nan = false;
    for (std::ptrdiff_t i = 0; i < length; ++i) nan |= is_nan_or_inf(emission(i, tag));
    return nan;
  }
};

// Whether NaN or +inf is among the emissions of a row.
template <class Lanes, class Real>
PYBERT_CRF_FUNCTION bool emits_nan(const Row<Real> row) {
  return Lanes::any_of(row.tags, [&](std::ptrdiff_t tag) { return row.emits_nan(tag); });
}

// Fills `positions` (time + 1) with the unmasked positions of one row, in order; returns how many there are.
PYBERT_CRF_INLINE std::ptrdiff_t find_chain(const View<const std::uint8_t, 1>& mask, std::ptrdiff_t time,
                                            std::ptrdiff_t* positions) {
  std::ptrdiff_t length = 0;
  std::ptrdiff_t t = 0;
  // Eight at a time: nearly always all of them are on, or all off.
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
  return with_stride(mask.stride[0], [&](auto stride) {
    std::ptrdiff_t length = 0;
    for (std::ptrdiff_t t = 0; t < time; ++t) length += mask.data[t * stride] != 0;
    return length;
  });
}

// The unmasked positions of all rows of a batch.
struct ChainPositions {
  std::ptrdiff_t* positions;  // (batch, time + 1)
  std::ptrdiff_t* lengths;    // (batch)

  template <class Real>
  PYBERT_CRF_INLINE Row<Real> row(const Chains<Real>& chains, std::ptrdiff_t index) const {
    return {index, chains.emissions[index], positions + index * (chains.time + 1), lengths[index],
            chains.tags};
  }
};

// Sets `width` numbers to `value` at each masked position of a row.
template <class Lanes, class Real, class T>
PYBERT_CRF_FUNCTION void fill_masked(const Row<Real>& row, std::ptrdiff_t time, std::ptrdiff_t width,
                                     T* numbers, T value) {
  const std::ptrdiff_t* const positions = row.positions;
  const std::ptrdiff_t length = row.length;
  const auto fill = [&](std::ptrdiff_t first, std::ptrdiff_t stop) {
    T* const to = numbers + first * width;
    Lanes::each((stop - first) * width, [&](std::ptrdiff_t at) { to[at] = value; });
  };
  if (length > 0 && positions[length - 1] - positions[0] == length - 1) {  // the chain has no gaps
    fill(0, positions[0]);
    fill(positions[0] + length, time);
    return;
  }
  std::ptrdiff_t next = 0;  // the first position not yet done
  for (std::ptrdiff_t i = 0; i <= length; ++i) {
    const std::ptrdiff_t stop = i < length ? positions[i] : time;
    fill(next, stop);
    next = stop + 1;
  }
}

// Sets `width` numbers to `value` at each unmasked position of a row.
template <class Lanes, class Real, class T>
PYBERT_CRF_FUNCTION void fill_chain(const Row<Real>& row, std::ptrdiff_t width, T* numbers, T value) {
  for (std::ptrdiff_t i = 0; i < row.length; ++i) {
    T* const to = numbers + row.positions[i] * width;
    Lanes::each(width, [&](std::ptrdiff_t at) { to[at] = value; });
  }
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
