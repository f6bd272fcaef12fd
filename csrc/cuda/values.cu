// log Z, log-likelihoods and their gradients on a GPU; compiled once for each type of numbers
// (PYBERT_CRF_REAL).
#include "cuda/rows.cuh"

namespace pybert_crf::PYBERT_CRF_TARGET {

namespace {

using Real = PYBERT_CRF_REAL;

// Calls run(call, OneBlock) with what all three operations share filled in.
template <class Run>
std::size_t with_call(const Chains<Real>& chains, const Paths& paths, const Run& run) {
  std::size_t result = 0;
  with_lanes<double>(chains.tags, [&](auto lanes, auto one_block) {
    Call<decltype(lanes), Real> call{};
    call.chains = chains;
    call.paths = paths;
    result = run(call, one_block);
  });
  return result;
}

template <class Lanes, class OneBlock>
std::size_t enqueue(const Call<Lanes, Real>& call, OneBlock, Real* messages, Take take,
                    const cuda::Place& place) {
  return enqueue_rows<Lanes, OneBlock::value>(call, messages, take, place);
}

std::size_t log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                          const cuda::Place& place) {
  const DeviceGuard guard(place.device);
  return with_call(chains, paths, [&](auto& call, auto one_block) {
    call.value = out.value;
    call.log_z = out.log_z;
    return enqueue(call, one_block, out.messages, {true, false}, place);
  });
}

std::size_t gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, const Real* messages,
                     const Real* log_z, const Gradient<Real>& out, const cuda::Place& place) {
  const DeviceGuard guard(place.device);
  return with_call(chains, paths, [&](auto& call, auto one_block) {
    call.grad = grad;
    call.log_z = const_cast<Real*>(log_z);  // read only, where no values are taken
    call.out = out;
    return enqueue(call, one_block, const_cast<Real*>(messages), {false, true}, place);
  });
}

std::size_t value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad, Real* value,
                               const Gradient<Real>& out, const cuda::Place& place) {
  const DeviceGuard guard(place.device);
  return with_call(chains, paths, [&](auto& call, auto one_block) {
    call.grad = grad;
    call.value = value;
    call.out = out;
    return enqueue(call, one_block, static_cast<Real*>(nullptr), {true, true}, place);
  });
}

}  // namespace

}  // namespace pybert_crf::PYBERT_CRF_TARGET

namespace pybert_crf::cuda {

template <>
ValueOperations<PYBERT_CRF_REAL> value_operations() {
  namespace own = PYBERT_CRF_TARGET;
  return {own::log_partition, own::gradient, own::value_and_gradient};
}

}  // namespace pybert_crf::cuda
