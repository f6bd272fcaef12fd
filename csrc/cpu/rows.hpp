// The rows of a batch on their way to threads: in which order, and the memory of those at work.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "chain/parameters.hpp"
#include "chain/row.hpp"
#include "cpu/parallel.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Weights or Scores with the memory of their arrays.
template <class Lanes, class Parameters>
class ParameterMemory {
 public:
  explicit ParameterMemory(std::ptrdiff_t tags)
      : memory_(parameter_size(Shape<Lanes>(tags))),
        parameters_(parameters_at<Parameters>(Shape<Lanes>(tags), memory_.data())) {}

  Parameters& operator*() { return parameters_; }

 private:
  Buffer<typename Lanes::Work> memory_;
  Parameters parameters_;
};

// The positions of one row after another.
template <class Real>
class RowMemory {
 public:
  explicit RowMemory(const Chains<Real>& chains) : chains_(chains), positions_(chains.time + 1) {}

  PYBERT_CRF_NOINLINE Row<Real> find(std::ptrdiff_t index) const {
    const std::ptrdiff_t length = find_chain(chains_.mask[index], chains_.time, positions_.data());
    return {index, chains_.emissions[index], positions_.data(), length, chains_.tags};
  }

 private:
  const Chains<Real>& chains_;
  Buffer<std::ptrdiff_t> positions_;
};

// The rows of a batch, the longest first: those of a group are of similar length, and the tasks that are left
// for the end are short.
class RowOrder {
 public:
  template <class Real>
  PYBERT_CRF_NOINLINE explicit RowOrder(const Chains<Real>& chains) : rows_(chains.batch) {
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

// An array of T, each made from the same arguments.
template <class T, std::size_t... n, class... Arguments>
std::array<T, sizeof...(n)> make_array(std::index_sequence<n...>, const Arguments&... from) {
  return {{(static_cast<void>(n), T(from...))...}};
}
template <class T, int number, class... Arguments>
std::array<T, number> make_array(const Arguments&... from) {
  return make_array<T>(std::make_index_sequence<number>{}, from...);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
