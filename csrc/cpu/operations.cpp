// The operations of one instruction set, for one type of numbers. This file is compiled once for each of
// both, so that several processors compile at the same time: PYBERT_CRF_TARGET and PYBERT_CRF_REAL are their
// names, PYBERT_CRF_TABLE is that of the table in cpu/instruction_sets.hpp.
#include <type_traits>

#include "cpu/gradient.hpp"
#include "cpu/instruction_sets.hpp"
#include "cpu/log_partition.hpp"
#include "cpu/paths.hpp"
#include "cpu/value_and_gradient.hpp"
#include "lanes/cpu.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

namespace {

// Of many tags, four rows go together, so a group of lanes is two registers; a maximum goes alone, on four.
constexpr int wide_sum = register_bytes == 64 ? 16 : 8;
constexpr int wide_maximum = 16;

// Calls run(Lanes, OneBlock) for groups that fit the number of tags with little to spare. Machines with x86
// that lack AVX2 are rare: for them one form that takes any number of tags is enough, which saves a third of
// the compilation.
template <class Work, int wide, class Run>
void with_lanes(std::ptrdiff_t tags, const Run& run) {
#if defined(__x86_64__) && !defined(__AVX2__)
  (void)tags;
  run(CpuLanes<Work, 8>{}, std::false_type{});
#else
  if (tags <= 8) {
    run(CpuLanes<Work, 8>{}, std::true_type{});
  } else if (tags <= 16) {
    run(CpuLanes<Work, 16>{}, std::true_type{});
  } else if (tags <= 32) {
    run(CpuLanes<Work, 32>{}, std::true_type{});
  } else {
    run(CpuLanes<Work, wide>{}, std::false_type{});
  }
#endif
}

template <class Real>
std::ptrdiff_t run_log_partition(const Chains<Real>& chains, const Paths& paths,
                                 const LogPartition<Real>& out, const cpu::Threads& threads) {
  const std::ptrdiff_t wrong = find_wrong_tag(chains, paths);
  if (wrong >= 0) return wrong;
  with_lanes<double, wide_sum>(chains.tags, [&](auto lanes, auto one_block) {
    log_partition<decltype(lanes), decltype(one_block)::value>(chains, paths, out, threads.count);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t run_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                            const Real* messages, const Real* log_z, const Gradient<Real>& out,
                            const cpu::Threads& threads) {
  with_lanes<double, wide_sum>(chains.tags, [&](auto lanes, auto one_block) {
    gradient<decltype(lanes), decltype(one_block)::value>(chains, paths, grad, messages, log_z, out,
                                                          threads.count);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t run_value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                                      Real* value, const Gradient<Real>& out, const cpu::Threads& threads) {
  const std::ptrdiff_t wrong = find_wrong_tag(chains, paths);
  if (wrong >= 0) return wrong;
  with_lanes<double, wide_sum>(chains.tags, [&](auto lanes, auto one_block) {
    value_and_gradient<decltype(lanes), decltype(one_block)::value>(chains, paths, grad, value, out,
                                                                    threads.count);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t run_viterbi(const Chains<Real>& chains, const BestPaths<Real>& out,
                           const cpu::Threads& threads) {
  with_lanes<Real, wide_maximum>(chains.tags, [&](auto lanes, auto one_block) {
    viterbi<decltype(lanes), decltype(one_block)::value>(chains, out, threads.count);
  });
  return -1;
}

template <class Real>
std::ptrdiff_t run_k_best(const Chains<Real>& chains, const BestPaths<Real>& out,
                          const cpu::Threads& threads) {
  k_best<CpuLanes<double, 16>>(chains, out, threads.count);
  return -1;
}

template <class Real>
std::ptrdiff_t run_log_alphas(const Chains<Real>& chains, Real* alphas, const cpu::Threads& threads) {
  log_alphas<CpuLanes<double, 16>>(chains, alphas, threads.count);
  return -1;
}

template <class Real>
std::ptrdiff_t run_sample(const Chains<Real>& chains, const Samples& out, const cpu::Threads& threads) {
  sample<CpuLanes<double, 16>>(chains, out, threads.count);
  return -1;
}

template <class Real>
constexpr Operations<Real, cpu::Threads> operations = {
    run_log_partition<Real>, run_gradient<Real>, run_value_and_gradient<Real>,
    run_viterbi<Real>,       run_k_best<Real>,   run_log_alphas<Real>,
    run_sample<Real>};

}  // namespace

extern const Operations<PYBERT_CRF_REAL, cpu::Threads> PYBERT_CRF_TABLE = operations<PYBERT_CRF_REAL>;

}  // namespace pybert_crf::PYBERT_CRF_TARGET
