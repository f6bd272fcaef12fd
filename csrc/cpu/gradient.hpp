// The gradient of log Z or of paths' log-likelihoods, over a batch: rows, or the two sweeps of a row, to
// threads.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "chain/gradient.hpp"
#include "chain/log_semiring.hpp"
#include "chain/path_score.hpp"
#include "cpu/counts.hpp"
#include "cpu/log_partition.hpp"
#include "cpu/parameters.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// What a call is given and gives.
template <class Real>
struct GradientCall {
  const Chains<Real>& chains;
  const Paths& paths;
  const Real* grad;
  const Real* log_z;
  const Gradient<Real>& out;
};

// One row at work. `counts` are two tables, of the pairs in its left and its right half, or one for both;
// rows that work together have the same.
template <class Lanes, bool OneBlock, class Real>
class GradientRow {
 public:
  using Work = typename Lanes::Work;

  GradientRow(const GradientCall<Real>& call, const Weights<Lanes>& weights, Work* left_counts,
              Work* right_counts)
      : call_(call),
        weights_(weights),
        memory_(call.chains),
        scratch_(2 * scratch_size(weights.shape)),
        counts_{left_counts, right_counts} {}

  // `messages`: (time, tags), the row's; `kept`: see Half.
  void begin(std::ptrdiff_t row, const Real* messages, Work* kept = nullptr) {
    const Shape<Lanes>& shape = weights_.shape;
    row_ = row;
    d_emissions_ = call_.out.emissions + row * call_.chains.time * shape.tags;
    memory_.find(row);
    memory_.fill_masked(d_emissions_, shape.tags, Real{0});
    legal_ = memory_.length() > 0 && !(call_.log_z[row] == -std::numeric_limits<Real>::infinity());
    const Real* mark = messages + (legal_ ? memory_.positions()[0] * shape.tags : 0);
    scaled_ = legal_ && weights_.scalable && *mark == *mark;
    for (const Side side : both_sides) {
      Work* own = scratch_.data() + side * scratch_size(shape);
      halves_[side] = {{Stretch<Lanes>::at(shape, own + shape.padded),
                        memory_.row(),
                        opposite(side),
                        positions_of(side, memory_.length()),
                        kept,
                        {},
                        {}},
                       weight(),
                       messages,
                       d_emissions_,
                       counts_[side],
                       own,
                       true};
    }
  }

  HalfGradient<Lanes, Real>* half(Side side) { return &halves_[side]; }
  bool scaled() const { return scaled_; }
  std::ptrdiff_t length() const { return memory_.length(); }

  // Whether what the scaled recursion made of both halves is exact.
  bool exact() const {
    for (const auto& half : halves_)
      if (half.count > 0 && !(half.exact && within_bounds(half.course, half.watch))) return false;
    return true;
  }

  // Once both halves are done. `exact`: and the counts of pairs have been taken.
  void finish(bool exact, const Counts& counts) {
    const Row<Real> row = memory_.row();
    if (!legal_) {
      for (std::ptrdiff_t i = 0; i < row.length; ++i)
        fill(d_emissions_ + row.positions[i] * row.tags, row.tags, Real{0});
      return;
    }
    if (scaled_ && exact) {
      const Work* ends = halves_[row.length == 1 ? left : right].edge;
      for (std::ptrdiff_t j = 0; j < row.tags; ++j) {
        counts.start[j] += halves_[left].edge[j];
        counts.end[j] += ends[j];
      }
    } else {
      const LogMemory<Lanes> scratch(weights_.shape.padded);
      const Buffer<double> alphas(row.length * row.tags);
      log_row_gradient(weights_, log_chain(call_.chains), row, weight(), alphas.data(), *scratch,
                       d_emissions_, counts);
    }
    if (call_.paths.data != nullptr)
      add_path<Lanes>(
          row,
          [&](std::ptrdiff_t i) { return static_cast<std::ptrdiff_t>(call_.paths(row_, row.positions[i])); },
          call_.grad[row_], d_emissions_, counts);
  }

 private:
  static std::ptrdiff_t scratch_size(const Shape<Lanes>& shape) {
    return Stretch<Lanes>::size(shape) + shape.padded;
  }

  double grad() const { return static_cast<double>(call_.grad[row_]); }
  double weight() const { return call_.paths.data != nullptr ? -grad() : grad(); }  // of log Z

  const GradientCall<Real>& call_;
  const Weights<Lanes>& weights_;
  RowMemory<Real> memory_;
  Buffer<Work> scratch_;
  Work* counts_[2];
  HalfGradient<Lanes, Real> halves_[2];
  std::ptrdiff_t row_ = 0;
  Real* d_emissions_ = nullptr;
  bool legal_ = false;
  bool scaled_ = false;
};

template <class Work>
PYBERT_CRF_INLINE void add_table(std::ptrdiff_t size, const Work* more, double* to) {
  for (std::ptrdiff_t at = 0; at < size; ++at) to[at] += static_cast<double>(more[at]);
}

// A group of rows that one thread takes, and the counts of their pairs. If one row turns out not to be exact,
// the counts of all are spoilt, and all are done in the log semiring.
template <class Lanes, bool OneBlock, class Real>
class GradientGroup {
 public:
  using Work = typename Lanes::Work;
  static constexpr std::ptrdiff_t size = rows_in_a_group<OneBlock>;

  GradientGroup(const GradientCall<Real>& call, const Weights<Lanes>& weights)
      : weights_(weights),
        table_(weights.shape.table()),
        rows_(call, weights, table_.data(), table_.data()) {}

  // `begin_row(row, number, place)`: begins the row of that number, which is at this place in the group.
  template <class BeginRow>
  void run(const RowOrder& order, std::ptrdiff_t first, std::ptrdiff_t number, const BeginRow& begin_row,
           const Counts& counts) {
    bool any = false;
    bool together = number == size;
    for (std::ptrdiff_t r = 0; r < number; ++r) {
      auto& row = rows_.each[r];
      begin_row(row, order[first + r], r);
      any |= row.scaled();
      together &= row.scaled() && row.length() > 1;
    }
    bool exact = any;
    if (any) {
      fill(table_.data(), weights_.shape.table(), Work{0});
      const auto do_halves = [&](auto& halves) { gradient_halves<Lanes, OneBlock>(weights_, halves); };
      if (together) {
        for_each_half<OneBlock>(rows_.each, number, do_halves);
      } else {
        for (std::ptrdiff_t r = 0; r < number; ++r)
          if (rows_.each[r].scaled()) for_each_half<OneBlock>(&rows_.each[r], 1, do_halves);
      }
      for (std::ptrdiff_t r = 0; r < number; ++r) exact &= !rows_.each[r].scaled() || rows_.each[r].exact();
      if (exact) add_table(weights_.shape.table(), table_.data(), counts.products);
    }
    for (std::ptrdiff_t r = 0; r < number; ++r) rows_.each[r].finish(exact, counts);
  }

 private:
  const Weights<Lanes>& weights_;
  Buffer<Work> table_;
  Several<GradientRow<Lanes, OneBlock, Real>, size> rows_;
};

// A row whose halves different threads do, each with its own counts.
template <class Lanes, bool OneBlock, class Real>
class CutGradientRow {
 public:
  using Work = typename Lanes::Work;

  CutGradientRow(const GradientCall<Real>& call, const Weights<Lanes>& weights, std::ptrdiff_t row,
                 const Real* messages, const Counts& counts)
      : weights_(weights),
        tables_(2 * weights.shape.table()),
        row_(call, weights, tables_.data(), tables_.data() + weights.shape.table()),
        counts_(counts) {
    fill(tables_.data(), 2 * weights.shape.table(), Work{0});
    row_.begin(row, messages);
  }

  void work(Side side) {
    HalfGradient<Lanes, Real>* const half[] = {row_.half(side)};
    if (row_.scaled()) gradient_halves<Lanes, OneBlock>(weights_, half);
  }

  void finish() {
    const bool exact = row_.scaled() && row_.exact();
    for (const Side side : both_sides)
      if (exact)
        add_table(weights_.shape.table(), tables_.data() + side * weights_.shape.table(), counts_.products);
    row_.finish(exact, counts_);
  }

 private:
  const Weights<Lanes>& weights_;
  Buffer<Work> tables_;
  GradientRow<Lanes, OneBlock, Real> row_;
  Counts counts_;
};

template <class Lanes, bool OneBlock, class Real>
void gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, const Real* messages,
              const Real* log_z, const Gradient<Real>& out, int threads) {
  ParameterMemory<Lanes, Weights<Lanes>> parameters(chains.tags);
  Weights<Lanes>& weights = *parameters;
  weigh_parameters(chains, weights);
  const GradientCall<Real> call{chains, paths, grad, log_z, out};
  const auto messages_of = [&](std::ptrdiff_t row) { return messages + row * chains.time * chains.tags; };
  using Group = GradientGroup<Lanes, OneBlock, Real>;
  const std::ptrdiff_t groups =
      chains.batch < rows_to_cut ? chains.batch : (chains.batch + Group::size - 1) / Group::size;
  ChunkCounts<Lanes> counts(groups, chains.tags);
  if (chains.batch < rows_to_cut) {
    using State = CutGradientRow<Lanes, OneBlock, Real>;
    for_each_side<State>(
        chains.batch, 2 * count_steps(chains), threads,
        [&](std::ptrdiff_t row) { return new State(call, weights, row, messages_of(row), counts[row]); },
        [](State& state, Side side) { state.work(side); });
  } else {
    const RowOrder order(chains);
    const auto begin_row = [&](auto& row, std::ptrdiff_t number, std::ptrdiff_t) {
      row.begin(number, messages_of(number));
    };
    for_each_task(counts.chunks(), 2 * count_steps(chains), threads, [&] {
      return [&, group = Group(call, weights)](std::ptrdiff_t chunk) mutable {
        for (std::ptrdiff_t at = counts.first_of(chunk); at < counts.first_of(chunk + 1); ++at)
          group.run(order, at * Group::size, lesser(Group::size, chains.batch - at * Group::size), begin_row,
                    counts[chunk]);
      };
    });
  }
  counts.reduce(weights, out);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
