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
struct ForwardSweep : RowSweep<Lanes, Real> {
  Real* messages;  // (time, tags) of the row
  double offset;   // the sum of the emissions' tops
};

// The messages of the steps first..first+count-1.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void store_messages(const Shape<Lanes>& shape, const ForwardSweep<Lanes, Real>& sweep,
                                        std::ptrdiff_t first, std::ptrdiff_t count) {
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  // What a store might change, as far as the compiler knows, is read once.
  const std::ptrdiff_t tags = shape.tags;
  const auto* scales = sweep.segment.scales + 1;
  const auto* vector = sweep.segment.vectors + padded;
  const std::ptrdiff_t* position = sweep.row.positions + position_of(sweep.start, sweep.row.length, first);
  const std::ptrdiff_t next = sweep.start == left ? 1 : -1;
  Real* const messages = sweep.messages;
  for (std::ptrdiff_t step = 0; step < count; ++step, vector += padded, position += next) {
    Real* message = messages + *position * tags;
    const auto scale = Lanes::all(scales[step]);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
      Lanes::store_some(message + block, Lanes::load(vector + block) * scale, tags - block);
  }
}

// Runs sweeps from the ends of rows to their middles, and stores their messages.
template <class Lanes, bool OneBlock, int number, class Real>
PYBERT_CRF_FUNCTION void forward_sweeps(const Weights<Lanes>& weights,
                                        ForwardSweep<Lanes, Real>* const (&sweeps)[number]) {
  using Forward = ForwardSweep<Lanes, Real>;
  PYBERT_CRF_UNROLL
  for (Forward* sweep : sweeps) Lanes::store_one(sweep->segment.scales, 1);
  run_sweeps<Lanes, OneBlock>(
      weights, sweeps, true,
      [&](Forward& sweep, std::ptrdiff_t first, std::ptrdiff_t count) {
        use_cache(OneBlock ? Lanes::width : weights.shape.padded, first, sweep);
        sweep.offset += weigh_emissions<Lanes, OneBlock>(weights, first, count, sweep);
      },
      [&](Forward& sweep, std::ptrdiff_t first, std::ptrdiff_t count) {
        store_messages<Lanes, OneBlock>(weights.shape, sweep, first, count);
      });
}

// What is needed of a sweep where it meets the other.
template <class Lanes>
struct SweepEnd {
  const typename Lanes::Element* vector;  // (padded): the last one
  typename Lanes::Work scale;             // the power of two that brings it to a maximum in [1, 2)
  std::int64_t exponent;
  double offset;
  bool exact;  // nothing can have underflowed
};

template <class Lanes, class Real>
PYBERT_CRF_INLINE SweepEnd<Lanes> end_of(const ForwardSweep<Lanes, Real>& sweep) {
  typename Lanes::Work scale = 1;
  if (sweep.count > 0) scale = sweep.segment.scales[0];
  return {sweep.segment.vectors, scale, sweep.scaling.exponent - exponent_of(scale), sweep.offset,
          sweep.count == 0 || within_bounds(sweep)};
}

// log Z of a row of at least one position, from the two sweeps where they meet (eq. 11, 12).
// Returns false if it would not be exact.
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
