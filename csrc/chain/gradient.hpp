// The gradient of log Z, which consists of marginals (eq. 6): sweeps that continue from the middle of a row
// and meet the messages of the forward pass.
#pragma once

#include <cstddef>

#include "chain/advance.hpp"
#include "chain/scaled.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// An array (steps, padded).
template <class Element>
struct Steps {
  const Element* first;
  std::ptrdiff_t stride;  // from a step to the next
};

// counts[i, j] += sum over the steps of from[i] * to[j]
template <class Lanes, bool OneBlock>
PYBERT_CRF_FUNCTION void count_pairs(const Shape<Lanes>& shape, std::ptrdiff_t steps,
                                     const Steps<typename Lanes::Element>& from,
                                     const Steps<typename Lanes::Element>& to,
                                     typename Lanes::Element* counts) {
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width) {
    for (std::ptrdiff_t i = 0; i < shape.rows; i += Lanes::partials) {
      auto* row = counts + block * shape.rows + i * Lanes::width;
      Values sums[4];
      for (std::ptrdiff_t k = 0; k < Lanes::partials; ++k) sums[k] = Lanes::load(row + k * Lanes::width);
      const auto* entered = to.first + block;
      const auto* left_from = from.first + i;
      for (std::ptrdiff_t step = 0; step < steps; ++step, entered += to.stride, left_from += from.stride) {
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
struct GradientSweep : RowSweep<Lanes, Real> {
  double weight;                    // the gradient is that of weight * log_z
  const Real* messages;             // (time, tags) of the row
  Real* d_emissions;                // (time, tags)
  typename Lanes::Element* counts;  // a table: pairs, yet to be multiplied by W; added to
  typename Lanes::Element*
      boundary_counts;  // (padded): weight * P(tag) at the end of the row where the sweep ends
  bool exact;
};

// The position of a gradient's step: the sweep has the steps of its own half behind it.
template <class Lanes, class Real>
PYBERT_CRF_INLINE std::ptrdiff_t position_of(const GradientSweep<Lanes, Real>& sweep, std::ptrdiff_t step) {
  return position_of(sweep.start, sweep.row.length, sweep.row.length - sweep.count + step);
}

// Phase 3 (eq. 13): the marginals at the steps first..first+count-1. Leaves message * weight / normaliser in
// `emitted`, which is no longer needed.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void store_marginals(const Shape<Lanes>& shape, GradientSweep<Lanes, Real>& sweep,
                                         std::ptrdiff_t first, std::ptrdiff_t count) {
  using Work = typename Lanes::Work;
  using Values = typename Lanes::Values;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  // What a store might change, as far as the compiler knows, is read once.
  const std::ptrdiff_t tags = shape.tags;
  const auto* scales = sweep.segment.scales;
  const auto* reached = sweep.segment.reached;
  auto* share = sweep.segment.emitted;
  const std::ptrdiff_t stride = sweep.segment.stride;
  const std::ptrdiff_t* position = sweep.row.positions + position_of(sweep, first);
  const std::ptrdiff_t next = sweep.start == left ? 1 : -1;
  const Real* const messages = sweep.messages;
  Real* const d_emissions = sweep.d_emissions;
  const auto weight = static_cast<Work>(sweep.weight);
  bool exact = sweep.exact;
  for (std::ptrdiff_t step = 0; step < count; ++step, reached += padded, share += stride, position += next) {
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
  sweep.exact = exact;
  if (first + count < sweep.count) return;
  for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
    Lanes::store(sweep.boundary_counts + block,
                 Lanes::load(share - stride + block) * Lanes::load(reached - padded + block));
}

// Phase 4: the pairs of neighbours of these steps. The pair in the middle of the row is counted on the left
// half, by the sweep that comes from the right.
template <class Lanes, bool OneBlock, class Real>
PYBERT_CRF_FUNCTION void count_segment(const Shape<Lanes>& shape, const GradientSweep<Lanes, Real>& sweep,
                                       std::ptrdiff_t first, std::ptrdiff_t count) {
  if (sweep.row.length == 1) return;
  const std::ptrdiff_t skipped = first == 0 && sweep.start == left ? 1 : 0;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  const auto& segment = sweep.segment;
  const Steps<typename Lanes::Element> carried{segment.vectors + skipped * padded, padded};
  const Steps<typename Lanes::Element> met{segment.emitted + skipped * segment.stride, segment.stride};
  count_pairs<Lanes, OneBlock>(shape, count - skipped, sweep.start == left ? carried : met,
                               sweep.start == left ? met : carried, sweep.counts);
}

// Runs sweeps on from the middles of rows. Each starts from the message that the forward sweep from its side
// left there, and meets the messages of the other forward sweep. If it turns out not to be exact (is_exact in
// chain/likelihood.hpp), d_emissions and counts are worthless.
template <class Lanes, bool OneBlock, int number, class Real>
PYBERT_CRF_FUNCTION void gradient_sweeps(const Weights<Lanes>& weights,
                                         GradientSweep<Lanes, Real>* const (&sweeps)[number]) {
  using Gradient = GradientSweep<Lanes, Real>;
  const Shape<Lanes>& shape = weights.shape;
  const std::ptrdiff_t padded = OneBlock ? Lanes::width : shape.padded;
  // A row of one position has no neighbour for the sweep to come from. Either all rows of a group have one
  // position or none has.
  bool alone = false;
  PYBERT_CRF_UNROLL
  for (Gradient* sweep : sweeps) {
    Lanes::store_one(sweep->segment.scales, 1);
    alone |= sweep->row.length == 1;
    if (sweep->row.length == 1 || sweep->count == 0) continue;
    const std::ptrdiff_t middle = positions_of(left, sweep->row.length);
    const Real* message =
        sweep->messages + sweep->row.positions[sweep->start == left ? middle - 1 : middle] * shape.tags;
    for (std::ptrdiff_t block = 0; block < padded; block += Lanes::width)
      Lanes::store(sweep->segment.vectors + block, Lanes::load_some(message + block, shape.tags - block));
    Lanes::sync();
  }
  run_sweeps<Lanes, OneBlock>(
      weights, sweeps, alone,
      [&](Gradient& sweep, std::ptrdiff_t first, std::ptrdiff_t count) {
        const std::ptrdiff_t step = sweep.row.length - sweep.count + first;
        use_cache(padded, step, sweep);
        if (sweep.cache == nullptr) weigh_emissions<Lanes, OneBlock>(weights, step, count, sweep);
      },
      [&](Gradient& sweep, std::ptrdiff_t first, std::ptrdiff_t count) {
        store_marginals<Lanes, OneBlock>(shape, sweep, first, count);
        Lanes::sync();
        count_segment<Lanes, OneBlock>(shape, sweep, first, count);
      });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
