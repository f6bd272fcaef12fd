// The memory of a call's parameters, and of one row at work.
#pragma once

#include <cstddef>

#include "chain/log_semiring.hpp"
#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "cpu/parallel.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Two tables and three vectors: the memory of Weights and of Scores.
template <class Lanes, class Parameters>
class ParameterMemory {
 public:
  using Work = typename Lanes::Work;

  explicit ParameterMemory(std::ptrdiff_t tags)
      : memory_(2 * Shape<Lanes>(tags).table() + 3 * Shape<Lanes>(tags).padded),
        parameters_{Shape<Lanes>(tags)} {
    const Shape<Lanes>& shape = parameters_.shape;
    Work* at = memory_.data();
    for (const Side side : both_sides) {
      parameters_.table[side] = at;
      at += shape.table();
    }
    for (const Side side : both_sides) {
      parameters_.boundary[side] = at;
      at += shape.padded;
    }
    parameters_.beyond = at;
  }

  Parameters& operator*() { return parameters_; }

 private:
  Buffer<Work> memory_;
  Parameters parameters_;
};

// A row's chain, for the thread or the threads that work on it.
template <class Real>
class RowMemory {
 public:
  explicit RowMemory(const Chains<Real>& chains) : chains_(chains), positions_(chains.time + 1) {}

  void find(std::ptrdiff_t row) {
    row_ = row;
    length_ = find_chain(chains_.mask[row], chains_.time, positions_.data());
  }

  // Sets `width` numbers to `value` at each position outside the chain.
  template <class T>
  void fill_masked(T* numbers, std::ptrdiff_t width, T value) const {
    fill_outside(positions_.data(), length_, chains_.time, width, numbers, value);
  }

  std::ptrdiff_t length() const { return length_; }
  const std::ptrdiff_t* positions() const { return positions_.data(); }

  Row<Real> row() const { return {chains_.emissions[row_], positions_.data(), length_, chains_.tags}; }

 private:
  const Chains<Real>& chains_;
  Buffer<std::ptrdiff_t> positions_;
  std::ptrdiff_t row_ = 0;
  std::ptrdiff_t length_ = 0;
};

// The rows of a batch, the longest first: those that work together are about as long, and what is left for
// the end is short.
class RowOrder {
 public:
  template <class Real>
  explicit RowOrder(const Chains<Real>& chains) : rows_(chains.batch) {
    const Buffer<std::ptrdiff_t> lengths(chains.batch);
    const Buffer<std::ptrdiff_t> places(chains.time + 2);
    fill(places.data(), chains.time + 2, std::ptrdiff_t{0});
    for (std::ptrdiff_t row = 0; row < chains.batch; ++row) {
      const std::ptrdiff_t length = count_chain(chains.mask[row], chains.time);
      lengths.data()[row] = length;
      ++places.data()[length];
    }
    for (std::ptrdiff_t length = chains.time; length >= 0; --length)
      places.data()[length] += places.data()[length + 1];
    for (std::ptrdiff_t row = chains.batch - 1; row >= 0; --row)
      rows_.data()[--places.data()[lengths.data()[row]]] = row;
  }

  std::ptrdiff_t operator[](std::ptrdiff_t place) const { return rows_.data()[place]; }

 private:
  Buffer<std::ptrdiff_t> rows_;
};

// Several of T, made alike.
template <class T, int number>
struct Several;

template <class T>
struct Several<T, 2> {
  T each[2];
  template <class... Arguments>
  explicit Several(Arguments&&... from) : each{T(from...), T(from...)} {}
};

template <class T>
struct Several<T, 4> {
  T each[4];
  template <class... Arguments>
  explicit Several(Arguments&&... from) : each{T(from...), T(from...), T(from...), T(from...)} {}
};

template <class Real>
PYBERT_CRF_INLINE LogChain<Real> log_chain(const Chains<Real>& chains) {
  return {chains.transitions, chains.start, chains.end};
}

template <class Lanes>
class LogMemory {
 public:
  explicit LogMemory(std::ptrdiff_t padded)
      : memory_(LogScratch<Lanes>::parts * padded), scratch_(LogScratch<Lanes>::at(padded, memory_.data())) {}

  const LogScratch<Lanes>& operator*() const { return scratch_; }

 private:
  Buffer<double> memory_;
  LogScratch<Lanes> scratch_;
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
