// The forward pass: log Z of a row from two sweeps that meet in its middle, and their messages.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/advance.hpp"
#include "chain/scaled.hpp"
#include "chain/table.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Lanes, class Real>
struct HalfSweep : Half<Lanes, Real> {
  using Number = Real;
  Real* messages;  // (time, tags) of the row
  double offset;   // the sum of the emissions' tops
};

// The messages of the steps first..first+count-1.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void store_messages(const Shape<Lanes>& shape, const HalfSweep<Lanes, Real>& half,
                                        std::ptrdiff_t first, std::ptrdiff_t count) {
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  // What a store might change, as far as the compiler knows, is read once.
  const std::ptrdiff_t tags = shape.tags;
  const auto* scales = half.stretch.scales + 1;
  const auto* vector = half.stretch.vectors + padded;
  const std::ptrdiff_t* position = half.row.positions + position_of(half.start, half.row.length, first);
  const std::ptrdiff_t next = half.start == left ? 1 : -1;
  Real* const messages = half.messages;
  for (std::ptrdiff_t step = 0; step < count; ++step, vector += padded, position += next) {
    Real* message = messages + *position * tags;
    const auto scale = Lanes::all(scales[step]);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
      Lanes::store_some(message + block, Lanes::load(vector + block) * scale, tags - block);
  }
}

// Sweeps from the ends of rows to their middles, and leaves the messages there.
template <class Lanes, bool OneBlock, int number, class Real>
PYBERT_CRF_FUNCTION void sweep_halves(const Weights<Lanes>& weights,
                                      HalfSweep<Lanes, Real>* const (&halves)[number]) {
  using Sweep = HalfSweep<Lanes, Real>;
  PYBERT_CRF_UNROLL
  for (Sweep* half : halves) Lanes::store_one(half->stretch.scales, 1);
  take_through<Lanes, OneBlock>(
      weights, halves, true,
      [&](Sweep& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        find_kept(OneBlock ? Lanes::width : weights.shape.padded, first, half);
        half.offset += weigh_emissions<Lanes, OneBlock>(weights, first, count, half);
      },
      [&](Sweep& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        store_messages<Lanes, OneBlock>(weights.shape, half, first, count);
      });
}

// What the two sweeps tell each other where they meet.
template <class Lanes>
struct SweepEnd {
  const typename Lanes::Cell* vector;  // (padded): the last one
  typename Lanes::Work scale;          // what brings it to one
  std::int64_t exponent;
  double offset;
  bool exact;  // nothing can have underflowed
};

template <class Lanes, class Real>
PYBERT_CRF_INLINE SweepEnd<Lanes> end_of(const HalfSweep<Lanes, Real>& half) {
  typename Lanes::Work scale = 1;
  if (half.count > 0) scale = half.stretch.scales[0];
  return {half.stretch.vectors, scale, half.course.exponent - exponent_of(scale), half.offset,
          half.count == 0 || within_bounds(half.course, half.watch)};
}

// log Z of a row of at least one position, from the two sweeps where they meet (eq. 11, 12).
// Returns false where it would not be exact.
template <class Lanes, bool OneBlock>
PYBERT_CRF_FUNCTION bool meet(const Weights<Lanes>& weights, std::ptrdiff_t length,
                              const SweepEnd<Lanes>& from, const SweepEnd<Lanes>& to, double& log_z) {
  using Values = typename Lanes::Values;
  const Shape<Lanes>& shape = weights.shape;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  if (!from.exact || !to.exact) return false;
  const Values from_scale = Lanes::all(from.scale);
  const Values to_scale = Lanes::all(length == 1 ? 1 : to.scale);
  Values sum = Lanes::all(0);
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const Values reached = length == 1 ? Lanes::load(from.vector + block)
                                       : propagate(shape, from.vector, weights.table[left], block);
    const Values taken =
        length == 1 ? Lanes::load(weights.boundary[right] + block) : Lanes::load(to.vector + block);
    sum = Lanes::fma(reached * from_scale, taken * to_scale, sum);
  }
  const double total = static_cast<double>(Lanes::sum(sum));
  if (!(total >= bound::least_total)) return false;  // also where it is 0 or NaN
  log_z = std::log(total) + from.offset + weights.boundary_top[left] + weights.boundary_top[right] +
          static_cast<double>(length - 1) * weights.top;
  std::int64_t exponent = from.exponent;
  if (length > 1) {
    log_z += to.offset;
    exponent += to.exponent;
  }
  log_z += static_cast<double>(exponent) * 0.69314718055994530942;
  return log_z < std::numeric_limits<double>::infinity();
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
