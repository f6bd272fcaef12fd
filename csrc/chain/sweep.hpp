// The forward pass: log Z of a row from two sweeps that meet in its middle, and their messages.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "chain/scaled.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Lanes, class Real>
struct HalfSweep : Half<Lanes, Real> {
  using Number = Real;
  Real* messages;  // (time, tags) of the row
  double offset;   // the sum of the emissions' tops
};

// The messages of the steps first..first+count-1.
template <class Lanes, bool OneBlock, class Real>
void store_messages(const Shape<Lanes>& shape, const HalfSweep<Lanes, Real>& half, std::ptrdiff_t first,
                    std::ptrdiff_t count) {
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  for (std::ptrdiff_t step = 0; step < count; ++step) {
    const std::ptrdiff_t i = position_of(half.start, half.row.length, first + step);
    Real* message = half.messages + half.row.positions[i] * shape.tags;
    const auto scale = Lanes::all(half.stretch.scales[step + 1]);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
      Lanes::store_some(message + block,
                        Lanes::load(half.stretch.vectors + (step + 1) * padded + block) * scale,
                        shape.tags - block);
  }
}

// Sweeps from the ends of rows to their middles, and leaves the messages there.
template <class Lanes, bool OneBlock, int number, class Real>
void sweep_halves(const Weights<Lanes>& weights, HalfSweep<Lanes, Real>* const (&halves)[number]) {
  using Sweep = HalfSweep<Lanes, Real>;
  take_through<Lanes, OneBlock>(
      weights, halves, true, false,
      [&](Sweep& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        find_kept(OneBlock ? Lanes::width : weights.shape.padded, first, half);
        half.offset += weigh_emissions<Lanes, OneBlock>(weights, first, count, half);
      },
      [&](Sweep& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        store_messages<Lanes, OneBlock>(weights.shape, half, first, count);
      });
}

// log Z of a row of at least one position, from the two sweeps where they meet (eq. 11, 12).
// Returns false where it would not be exact.
template <class Lanes, bool OneBlock, class Real>
bool meet(const Weights<Lanes>& weights, std::ptrdiff_t length, const HalfSweep<Lanes, Real> (&halves)[2],
          double& log_z) {
  using Values = typename Lanes::Values;
  const Shape<Lanes>& shape = weights.shape;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  if (!within_bounds(halves[left].course, halves[left].watch) ||
      (length > 1 && !within_bounds(halves[right].course, halves[right].watch)))
    return false;
  // Each half's last vector, and what brings it to one.
  const auto* from = halves[left].stretch.vectors;
  const auto* to = length == 1 ? weights.boundary[right] : halves[right].stretch.vectors;
  const Values from_scale = Lanes::all(halves[left].course.scale);
  const Values to_scale = Lanes::all(length == 1 ? 1 : halves[right].course.scale);
  Values sum = Lanes::all(0);
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    const Values reached =
        length == 1 ? Lanes::load(from + block) : propagate(shape, from, weights.table[left], block);
    sum = Lanes::fma(reached * from_scale, Lanes::load(to + block) * to_scale, sum);
  }
  const double total = static_cast<double>(Lanes::sum(sum));
  if (!(total >= bound::least_total)) return false;  // also where it is 0 or NaN
  log_z = std::log(total) + halves[left].offset + weights.boundary_top[left] + weights.boundary_top[right] +
          static_cast<double>(length - 1) * weights.top;
  std::int64_t exponent = halves[left].course.exponent;
  if (length > 1) {
    log_z += halves[right].offset;
    exponent += halves[right].course.exponent;
  }
  log_z += static_cast<double>(exponent) * 0.69314718055994530942;
  return log_z < std::numeric_limits<double>::infinity();
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
