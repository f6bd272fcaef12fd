// log Z, log-likelihoods and their gradients on a GPU; compiled once for each type of numbers
// (PYBERT_CRF_REAL).
#include "cuda/declarations.hpp"
#include "cuda/rows.cuh"

namespace pybert_crf::PYBERT_CRF_TARGET {

namespace {

using Real = PYBERT_CRF_REAL;

// Enqueues what `take` says for a call that fill(call) completes.
template <class Fill>
std::ptrdiff_t enqueue(const Chains<Real>& chains, const Paths& paths, Real* messages, Take take,
                       const cuda::Stream& stream, const Fill& fill) {
  const DeviceGuard guard(stream.device);
  std::ptrdiff_t result = 0;
  with_lanes<double>(chains.tags, [&](auto lanes, auto one_block) {
    Call<decltype(lanes), Real> call{};
    call.chains = chains;
    call.paths = paths;
    fill(call);
    result = enqueue_rows<decltype(lanes), decltype(one_block)::value>(call, messages, take, stream);
  });
  return result;
}

}  // namespace

std::ptrdiff_t log_partition(const Chains<Real>& chains, const Paths& paths, const LogPartition<Real>& out,
                             const cuda::Stream& stream) {
  return enqueue(chains, paths, out.messages, {true, false}, stream, [&](auto& call) {
    call.value = out.value;
    call.log_z = out.log_z;
  });
}

std::ptrdiff_t gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                        const Real* messages, const Real* log_z, const Gradient<Real>& out,
                        const cuda::Stream& stream) {
  // log_z and messages are only read if no values are taken.
  return enqueue(chains, paths, const_cast<Real*>(messages), {false, true}, stream, [&](auto& call) {
    call.grad = grad;
    call.log_z = const_cast<Real*>(log_z);
    call.out = out;
  });
}

std::ptrdiff_t value_and_gradient(const Chains<Real>& chains, const Paths& paths, const Real* grad,
                                  Real* value, const Gradient<Real>& out, const cuda::Stream& stream) {
  return enqueue(chains, paths, nullptr, {true, true}, stream, [&](auto& call) {
    call.grad = grad;
    call.value = value;
    call.out = out;
  });
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
