// log Z and its gradient over a batch: sequences to threads.
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "chain/forward_backward.hpp"
#include "cpu/parallel.hpp"
#include "lanes/cpu.hpp"

namespace pybert_crf::cpu {

namespace {

// Expected counts are summed within a chunk of sequences and then over the chunks, in their order, whoever
// does them: so the bits do not depend on the threads. More chunks spread better; each costs memory.
constexpr std::ptrdiff_t most_chunks = 64;
constexpr std::ptrdiff_t most_count_bytes = std::ptrdiff_t{256} << 20;

template <class Real>
double count_steps(const Chains<Real>& chains, std::ptrdiff_t padded) {
  return static_cast<double>(chains.batch * chains.time) * static_cast<double>(chains.tags * padded);
}

template <class Real>
void fill_zero(View<Real, 1> row, std::ptrdiff_t size) {
  for (std::ptrdiff_t j = 0; j < size; ++j) row(j) = 0;
}

// The expected counts of every chunk, zero at first.
class ChunkCounts {
 public:
  ChunkCounts(std::ptrdiff_t batch, std::ptrdiff_t tags, std::ptrdiff_t padded)
      : tags_(tags), padded_(padded), size_((tags + 2) * padded) {
    const auto bytes = size_ * static_cast<std::ptrdiff_t>(sizeof(double));
    chunks_ = std::min({batch, most_chunks, std::max<std::ptrdiff_t>(1, most_count_bytes / bytes)});
    counts_.resize(static_cast<std::size_t>(std::max<std::ptrdiff_t>(chunks_, 1) * size_));
  }

  std::ptrdiff_t chunks() const { return chunks_; }

  ExpectedCounts operator[](std::ptrdiff_t chunk) {
    double* at = counts_.data() + chunk * size_;
    return {at, at + padded_, at + 2 * padded_};
  }

  // Sums all chunks, in order, into the gradients.
  template <class Real>
  void reduce(const LogPartitionGradient<Real>& out) {
    double* total = counts_.data();
    for (std::ptrdiff_t chunk = 1; chunk < chunks_; ++chunk) {
      const double* more = counts_.data() + chunk * size_;
      for (std::ptrdiff_t at = 0; at < size_; ++at) total[at] += more[at];
    }
    const ExpectedCounts sums = (*this)[0];
    for (std::ptrdiff_t i = 0; i < tags_; ++i) {
      out.start(i) = static_cast<Real>(sums.start[i]);
      out.end(i) = static_cast<Real>(sums.end[i]);
      for (std::ptrdiff_t j = 0; j < tags_; ++j)
        out.transitions(i, j) = static_cast<Real>(sums.transitions[j * padded_ + i]);
    }
  }

 private:
  std::ptrdiff_t tags_;
  std::ptrdiff_t padded_;
  std::ptrdiff_t size_;
  std::ptrdiff_t chunks_ = 0;
  std::vector<double> counts_;
};

}  // namespace

template <class Real>
void log_partition(const Chains<Real>& chains, const LogPartition<Real>& out, int threads) {
  using Lanes = CpuLanes<Real>;
  const PaddedChain<Lanes> chain(chains, PaddedChain<Lanes>::Lane::next_tag);
  const auto make_worker = [&] {
    return [&, scratch = ForwardBackwardScratch<Lanes>(static_cast<std::size_t>(chain.padded))](
               std::ptrdiff_t row) mutable {
      const auto alphas = out.alphas[row];
      find_chain(chains.mask[row], chains.time, scratch.positions,
                 [&](std::ptrdiff_t t) { fill_zero(alphas[t], chains.tags); });
      out.log_z(row) = static_cast<Real>(forward(chain, chains.emissions[row], alphas, scratch));
    };
  };
  for_each_chunk(chains.batch, count_steps(chains, chain.padded), threads, make_worker);
}

template <class Real>
void log_partition_backward(const Chains<Real>& chains, View<const Real, 1> grad, View<const Real, 3> alphas,
                            const LogPartitionGradient<Real>& out, int threads) {
  using Lanes = CpuLanes<Real>;
  const PaddedChain<Lanes> chain(chains, PaddedChain<Lanes>::Lane::previous_tag);
  ChunkCounts counts(chains.batch, chains.tags, chain.padded);
  const auto make_worker = [&] {
    auto memory = ForwardBackwardScratch<Lanes>(static_cast<std::size_t>(chain.padded));
    memory.terms.resize(chain.transitions.size());
    return [&, scratch = std::move(memory)](std::ptrdiff_t chunk) mutable {
      const std::ptrdiff_t first = chunk * chains.batch / counts.chunks();
      const std::ptrdiff_t last = (chunk + 1) * chains.batch / counts.chunks();
      for (std::ptrdiff_t row = first; row < last; ++row) {
        const auto d_emissions = out.emissions[row];
        find_chain(chains.mask[row], chains.time, scratch.positions,
                   [&](std::ptrdiff_t t) { fill_zero(d_emissions[t], chains.tags); });
        backward(chain, static_cast<double>(grad(row)), chains.emissions[row], alphas[row], d_emissions,
                 counts[chunk], scratch);
      }
    };
  };
  for_each_chunk(counts.chunks(), count_steps(chains, chain.padded), threads, make_worker);
  counts.reduce(out);
}

template void log_partition(const Chains<float>&, const LogPartition<float>&, int);
template void log_partition(const Chains<double>&, const LogPartition<double>&, int);
template void log_partition_backward(const Chains<float>&, View<const float, 1>, View<const float, 3>,
                                     const LogPartitionGradient<float>&, int);
template void log_partition_backward(const Chains<double>&, View<const double, 1>, View<const double, 3>,
                                     const LogPartitionGradient<double>&, int);

}  // namespace pybert_crf::cpu
