// Expected counts over a batch, summed in an order that does not depend on the threads.
#pragma once

#include <cstddef>

#include "chain/counts.hpp"
#include "cpu/parallel.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Counts are summed within a chunk of groups of rows and then over the chunks, in their order, so that the
// bits do not depend on the threads. With more chunks the work is shared more evenly; each takes memory.
constexpr std::ptrdiff_t most_chunks = 64;
constexpr std::ptrdiff_t least_chunks = 16;
constexpr std::ptrdiff_t most_count_bytes = std::ptrdiff_t{1} << 20;

template <class Lanes>
class ChunkCounts {
 public:
  ChunkCounts(std::ptrdiff_t groups, std::ptrdiff_t tags)
      : shape_(tags),
        groups_(groups),
        size_(Counts::size(shape_)),
        chunks_(chunks_for(groups, size_)),
        counts_((chunks_ > 0 ? chunks_ : 1) * size_) {
    fill(counts_.data(), (chunks_ > 0 ? chunks_ : 1) * size_, 0.0);
  }

  std::ptrdiff_t chunks() const { return chunks_; }
  std::ptrdiff_t first_of(std::ptrdiff_t chunk) const { return chunk * groups_ / chunks_; }

  Counts operator[](std::ptrdiff_t chunk) const { return Counts::at(shape_, counts_.data() + chunk * size_); }

  // Sums all chunks, in order, into the gradients.
  template <class Real>
  PYBERT_CRF_NOINLINE void reduce(const Weights<Lanes>& weights, const Gradient<Real>& out) {
    double* total = counts_.data();
    for (std::ptrdiff_t chunk = 1; chunk < chunks_; ++chunk) {
      const double* more = total + chunk * size_;
      for (std::ptrdiff_t at = 0; at < size_; ++at) total[at] += more[at];
    }
    for (std::ptrdiff_t i = 0; i < shape_.tags; ++i)
      for (std::ptrdiff_t j = 0; j < shape_.tags; ++j)
        store_gradient(weights, i, j, [&](std::ptrdiff_t at) { return total[at]; }, out);
  }

 private:
  static std::ptrdiff_t chunks_for(std::ptrdiff_t groups, std::ptrdiff_t size) {
    std::ptrdiff_t chunks = most_count_bytes / (size * static_cast<std::ptrdiff_t>(sizeof(double)));
    if (chunks < least_chunks) chunks = least_chunks;
    if (chunks > most_chunks) chunks = most_chunks;
    return chunks < groups ? chunks : groups;
  }

  Shape<Lanes> shape_;
  std::ptrdiff_t groups_;
  std::ptrdiff_t size_;
  std::ptrdiff_t chunks_;
  Buffer<double> counts_;
};

}  // namespace pybert_crf::PYBERT_CRF_TARGET
