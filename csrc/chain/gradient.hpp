// The gradient of log Z, which is marginals (eq. 6): sweeps that go on from the middle of a row and meet the
// messages.
#pragma once

#include <cstddef>

#include "chain/advance.hpp"
#include "chain/scaled.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// A number for each tag at each of many steps.
template <class Cell>
struct Steps {
  const Cell* first;
  std::ptrdiff_t along;  // from a step to the next
};

// counts[i, j] += sum over the steps of from[i] * to[j]
template <class Lanes, bool OneBlock>
PYBERT_CRF_FUNCTION void count_pairs(const Shape<Lanes>& shape, std::ptrdiff_t steps,
                                     const Steps<typename Lanes::Cell>& from,
                                     const Steps<typename Lanes::Cell>& to, typename Lanes::Cell* counts) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    for (std::ptrdiff_t i = 0; i < shape.rows; i += Lanes::partials) {
      auto* row = counts + block * shape.rows + i * Lanes::width;
      Values sums[4];
      for (std::ptrdiff_t k = 0; k < Lanes::partials; ++k) sums[k] = Lanes::load(row + k * Lanes::width);
      const auto* entered = to.first + block;
      const auto* left_from = from.first + i;
      for (std::ptrdiff_t step = 0; step < steps; ++step, entered += to.along, left_from += from.along) {
        const Values into = Lanes::load(entered);
        sums[0] = Lanes::fma(Lanes::all(left_from[0]), into, sums[0]);
        if constexpr (Lanes::partials > 1) sums[1] = Lanes::fma(Lanes::all(left_from[1]), into, sums[1]);
        if constexpr (Lanes::partials > 2) {
          sums[2] = Lanes::fma(Lanes::all(left_from[2]), into, sums[2]);
          sums[3] = Lanes::fma(Lanes::all(left_from[3]), into, sums[3]);
        }
      }
      for (std::ptrdiff_t k = 0; k < Lanes::partials; ++k) Lanes::store(row + k * Lanes::width, sums[k]);
    }
  }
}

template <class Lanes, class Real>
struct HalfGradient : Half<Lanes, Real> {
  using Number = Real;
  double weight;                 // the gradient is that of weight * log_z
  const Real* messages;          // (time, tags) of the row
  Real* d_emissions;             // (time, tags)
  typename Lanes::Cell* counts;  // a table: pairs, yet to be multiplied by W; added to
  typename Lanes::Cell* edge;    // (padded): weight * P(tag) at the end of the row that the sweep goes to
  bool exact;
};

// The position of a gradient's step: a sweep that has half the row behind it is as far on as the other half
// is long.
template <class Lanes, class Real>
PYBERT_CRF_INLINE std::ptrdiff_t position_of(const HalfGradient<Lanes, Real>& half, std::ptrdiff_t step) {
  return position_of(half.start, half.row.length, half.row.length - half.count + step);
}

// Phase 3 (eq. 13): what is met at the steps first..first+count-1. Leaves message * weight / normaliser in
// `emitted`, which is no longer needed.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void share_out(const Shape<Lanes>& shape, HalfGradient<Lanes, Real>& half,
                                   std::ptrdiff_t first, std::ptrdiff_t count) {
  using Work = typename Lanes::Work;
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  // What a store might change, as far as the compiler knows, is read once.
  const std::ptrdiff_t tags = shape.tags;
  const auto* scales = half.stretch.scales;
  const auto* reached = half.stretch.reached;
  auto* share = half.stretch.emitted;
  const std::ptrdiff_t along = half.stretch.along;
  const std::ptrdiff_t* position = half.row.positions + position_of(half, first);
  const std::ptrdiff_t next = half.start == left ? 1 : -1;
  const Real* const messages = half.messages;
  Real* const d_emissions = half.d_emissions;
  const auto weight = static_cast<Work>(half.weight);
  bool exact = half.exact;
  for (std::ptrdiff_t step = 0; step < count; ++step, reached += padded, share += along, position += next) {
    const Real* message = messages + *position * tags;
    Real* d_emission = d_emissions + *position * tags;
    const Values first_block = Lanes::load_some(message, tags);
    Values products = Lanes::load(reached) * first_block;
    for (std::ptrdiff_t block = Lanes::width; block < padded; block += Lanes::width)
      products =
          Lanes::fma(Lanes::load(reached + block), Lanes::load_some(message + block, tags - block), products);
    const Work norm = Lanes::sum(products);
    exact &= static_cast<double>(norm * scales[step]) >= bound::least_normaliser<Real>;
    const Values inverse = Lanes::all(weight / norm);
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
      const Values met = (OneBlock ? first_block : Lanes::load_some(message + block, tags - block)) * inverse;
      Lanes::store(share + block, met);
      Lanes::store_some(d_emission + block, met * Lanes::load(reached + block), tags - block);
    }
  }
  half.exact = exact;
  if (first + count < half.count) return;
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
    Lanes::store(half.edge + block,
                 Lanes::load(share - along + block) * Lanes::load(reached - padded + block));
}

// Phase 4: the pairs of neighbours of these steps. The pair in the middle of the row is counted on the left
// half, by the sweep from the right.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void count_stretch(const Shape<Lanes>& shape, const HalfGradient<Lanes, Real>& half,
                                       std::ptrdiff_t first, std::ptrdiff_t count) {
  if (half.row.length == 1) return;
  const std::ptrdiff_t skipped = first == 0 && half.start == left ? 1 : 0;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  const auto& stretch = half.stretch;
  const Steps<typename Lanes::Cell> carried{stretch.vectors + skipped * padded, padded};
  const Steps<typename Lanes::Cell> met{stretch.emitted + skipped * stretch.along, stretch.along};
  count_pairs<Lanes, OneBlock>(shape, count - skipped, half.start == left ? carried : met,
                               half.start == left ? met : carried, half.counts);
}

// Sweeps on from the middles of rows, where each starts from the message that it left, over the halves of the
// other side, where it meets the other sweep's messages. Where half.exact or its bounds say no, d_emissions
// and counts mean nothing.
template <class Lanes, bool OneBlock, int number, class Real>
PYBERT_CRF_FUNCTION void gradient_halves(const Weights<Lanes>& weights,
                                         HalfGradient<Lanes, Real>* const (&halves)[number]) {
  using Gradient = HalfGradient<Lanes, Real>;
  const Shape<Lanes>& shape = weights.shape;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  bool alone =
      false;  // a row of one position has no neighbour to come from: of a group, all rows are alone or none
  PYBERT_CRF_UNROLL
  for (Gradient* half : halves) {
    Lanes::store_one(half->stretch.scales, 1);
    alone |= half->row.length == 1;
    if (half->row.length == 1 || half->count == 0) continue;
    const std::ptrdiff_t middle = positions_of(left, half->row.length);
    const Real* message =
        half->messages + half->row.positions[half->start == left ? middle - 1 : middle] * shape.tags;
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
      Lanes::store(half->stretch.vectors + block, Lanes::load_some(message + block, shape.tags - block));
    Lanes::sync();
  }
  take_through<Lanes, OneBlock>(
      weights, halves, alone,
      [&](Gradient& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        const std::ptrdiff_t step = half.row.length - half.count + first;
        find_kept(padded, step, half);
        if (half.kept == nullptr) weigh_emissions<Lanes, OneBlock>(weights, step, count, half);
      },
      [&](Gradient& half, std::ptrdiff_t first, std::ptrdiff_t count) {
        share_out<Lanes, OneBlock>(shape, half, first, count);
        Lanes::sync();
        count_stretch<Lanes, OneBlock>(shape, half, first, count);
      });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
