// The only file that knows Python: addresses, sizes and strides come in, structs go on, the GIL is released.
//
// A tensor is a tuple (address, stride, ...), strides in elements. Nothing is checked here: the caller has
// allocated and validated everything (pybert_crf/crf/native.py).
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#include "chain.hpp"

namespace py = pybind11;

namespace pybert_crf {

namespace {

template <class T, int Rank>
View<T, Rank> view_of(const py::tuple& tensor) {
  if (tensor.size() != Rank + 1) throw py::value_error("a tensor is a tuple (address, stride for each axis)");
  View<T, Rank> view{reinterpret_cast<T*>(tensor[0].cast<std::uintptr_t>()), {}};
  for (int axis = 0; axis < Rank; ++axis)
    view.stride[axis] = tensor[static_cast<std::size_t>(axis) + 1].cast<std::ptrdiff_t>();
  return view;
}

// ((batch, time, tags), emissions, mask, start, transitions, end)
template <class Real>
Chains<Real> chains_of(const py::tuple& problem) {
  if (problem.size() != 6)
    throw py::value_error("a problem is (sizes, emissions, mask, start, transitions, end)");
  const auto sizes = problem[0].cast<py::tuple>();
  if (sizes.size() != 3) throw py::value_error("the sizes are (batch, time, tags)");
  return {sizes[0].cast<std::ptrdiff_t>(),
          sizes[1].cast<std::ptrdiff_t>(),
          sizes[2].cast<std::ptrdiff_t>(),
          view_of<const Real, 3>(problem[1]),
          view_of<const std::uint8_t, 2>(problem[2]),
          view_of<const Real, 1>(problem[3]),
          view_of<const Real, 2>(problem[4]),
          view_of<const Real, 1>(problem[5])};
}

template <class Real>
void log_partition(const py::tuple& problem, const py::tuple& log_z, const py::tuple& alphas, int threads) {
  const auto chains = chains_of<Real>(problem);
  const LogPartition<Real> out{view_of<Real, 1>(log_z), view_of<Real, 3>(alphas)};
  const py::gil_scoped_release unlocked;
  cpu::log_partition(chains, out, threads);
}

template <class Real>
void log_partition_backward(const py::tuple& problem, const py::tuple& grad, const py::tuple& alphas,
                            const py::tuple& d_emissions, const py::tuple& d_start,
                            const py::tuple& d_transitions, const py::tuple& d_end, int threads) {
  const auto chains = chains_of<Real>(problem);
  const auto grad_view = view_of<const Real, 1>(grad);
  const auto alphas_view = view_of<const Real, 3>(alphas);
  const LogPartitionGradient<Real> out{view_of<Real, 3>(d_emissions), view_of<Real, 1>(d_start),
                                       view_of<Real, 2>(d_transitions), view_of<Real, 1>(d_end)};
  const py::gil_scoped_release unlocked;
  cpu::log_partition_backward(chains, grad_view, alphas_view, out, threads);
}

template <class Real>
void viterbi(const py::tuple& problem, const py::tuple& tags, const py::tuple& scores, int threads) {
  const auto chains = chains_of<Real>(problem);
  const BestPaths<Real> out{view_of<std::int64_t, 2>(tags), view_of<Real, 1>(scores)};
  const py::gil_scoped_release unlocked;
  cpu::viterbi(chains, out, threads);
}

}  // namespace

}  // namespace pybert_crf

PYBIND11_MODULE(_native, module) {
  using namespace pybert_crf;
  module.doc() = "The linear-chain CRF in C++; use it through pybert_crf.crf.native.";
  module.def("log_partition_float32", &log_partition<float>);
  module.def("log_partition_float64", &log_partition<double>);
  module.def("log_partition_backward_float32", &log_partition_backward<float>);
  module.def("log_partition_backward_float64", &log_partition_backward<double>);
  module.def("viterbi_float32", &viterbi<float>);
  module.def("viterbi_float64", &viterbi<double>);
}
