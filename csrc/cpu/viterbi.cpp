// Best paths over a batch: sequences to threads, back-pointers in the narrowest type.
#include "chain/viterbi.hpp"

#include <cstddef>
#include <cstdint>

#include "cpu/parallel.hpp"
#include "lanes/cpu.hpp"

namespace pybert_crf::cpu {

namespace {

template <class Tag, class Real>
void viterbi_with_pointers(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  using Lanes = CpuLanes<Real>;
  const PaddedChain<Lanes> chain(chains, PaddedChain<Lanes>::Lane::next_tag);
  const auto make_worker = [&] {
    return [&, scratch = ViterbiScratch<Lanes, Tag>(static_cast<std::size_t>(chain.padded))](
               std::ptrdiff_t row) mutable {
      const auto path = out.tags[row];
      find_chain(chains.mask[row], chains.time, scratch.positions, [&](std::ptrdiff_t t) { path(t) = -1; });
      best_path(chain, chains.emissions[row], path, scratch);
      out.scores(row) = static_cast<Real>(path_score(chains, chains.emissions[row], path, scratch.positions));
    };
  };
  const double steps = static_cast<double>(chains.batch * chains.time) *
                       static_cast<double>(chains.tags * chain.padded) / 4;  // a max is cheaper than an exp
  for_each_chunk(chains.batch, steps, threads, make_worker);
}

}  // namespace

template <class Real>
void viterbi(const Chains<Real>& chains, const BestPaths<Real>& out, int threads) {
  if (chains.tags <= 1 << 8) return viterbi_with_pointers<std::uint8_t>(chains, out, threads);
  if (chains.tags <= 1 << 16) return viterbi_with_pointers<std::uint16_t>(chains, out, threads);
  return viterbi_with_pointers<std::uint32_t>(chains, out, threads);
}

template void viterbi(const Chains<float>&, const BestPaths<float>&, int);
template void viterbi(const Chains<double>&, const BestPaths<double>&, int);

}  // namespace pybert_crf::cpu
