// The only file that knows Python: addresses, sizes and strides come in, structs go on, the GIL is released.
//
// A tensor is a tuple (address, stride, ...), strides in elements; outputs are contiguous, and an address
// alone. Nothing is checked here: the caller has allocated and validated everything.
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "operations.hpp"

namespace py = pybind11;

namespace pybert_crf {

namespace {

using Address = std::uintptr_t;

template <class T>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

template <class T, int Rank>
View<T, Rank> view_of(const py::handle& tensor) {
  const auto parts = tensor.cast<py::tuple>();
  if (parts.size() != Rank + 1) throw py::value_error("a tensor is a tuple (address, stride for each axis)");
  View<T, Rank> view{pointer<T>(parts[0].cast<Address>()), {}};
  for (int axis = 0; axis < Rank; ++axis)
    view.stride[axis] = parts[static_cast<std::size_t>(axis) + 1].cast<std::ptrdiff_t>();
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

Paths paths_of(const py::object& paths) {
  if (paths.is_none()) return {nullptr, {0, 0}};
  return view_of<const std::int64_t, 2>(paths);
}

template <class Executor>
Executor executor_of(const py::object& executor);

// The number of threads.
template <>
cpu::Threads executor_of(const py::object& executor) {
  return {executor.cast<int>()};
}

#if defined(PYBERT_CRF_CUDA)
// (device, stream, workspace)
template <>
cuda::Stream executor_of(const py::object& executor) {
  const auto parts = executor.cast<py::tuple>();
  if (parts.size() != 3) throw py::value_error("a stream is (device, stream, workspace)");
  return {parts[0].cast<int>(), pointer<void>(parts[1].cast<Address>()),
          pointer<void>(parts[2].cast<Address>())};
}
#endif

// Defines PREFIX + operation + SUFFIX for each operation of a table; the last argument is the executor.
template <class Real, class Executor>
void define_operations(py::module_& module, const std::string& prefix, const std::string& suffix,
                       const Operations<Real, Executor>& (*table)()) {
  using Problem = const py::tuple&;
  using Object = const py::object&;
  using Table = Operations<Real, Executor>;
  const auto run = [table](auto operation, Object executor, const auto&... arguments) {
    const auto kernel = table().*operation;
    const Executor given = executor_of<Executor>(executor);
    const py::gil_scoped_release unlocked;
    return kernel(arguments..., given);
  };
  const auto define = [&](const char* name, const auto& function) {
    module.def((prefix + name + suffix).c_str(), function);
  };
  const auto gradient_at = [](Address emissions, Address start, Address transitions, Address end) {
    return Gradient<Real>{pointer<Real>(emissions), pointer<Real>(start), pointer<Real>(transitions),
                          pointer<Real>(end)};
  };
  define("log_partition",
         [=](Problem problem, Object paths, Address value, Address log_z, Address messages, Object executor) {
           const LogPartition<Real> out{pointer<Real>(value), pointer<Real>(log_z), pointer<Real>(messages)};
           return run(&Table::log_partition, executor, chains_of<Real>(problem), paths_of(paths), out);
         });
  define("gradient",
         [=](Problem problem, Object paths, Address grad, Address messages, Address log_z,
             Address d_emissions, Address d_start, Address d_transitions, Address d_end, Object executor) {
           return run(&Table::gradient, executor, chains_of<Real>(problem), paths_of(paths),
                      pointer<const Real>(grad), pointer<const Real>(messages), pointer<const Real>(log_z),
                      gradient_at(d_emissions, d_start, d_transitions, d_end));
         });
  define("value_and_gradient",
         [=](Problem problem, Object paths, Address grad, Address value, Address d_emissions, Address d_start,
             Address d_transitions, Address d_end, Object executor) {
           return run(&Table::value_and_gradient, executor, chains_of<Real>(problem), paths_of(paths),
                      pointer<const Real>(grad), pointer<Real>(value),
                      gradient_at(d_emissions, d_start, d_transitions, d_end));
         });
  define("viterbi", [=](Problem problem, Address tags, Address scores, Object executor) {
    const BestPaths<Real> out{1, pointer<std::int64_t>(tags), pointer<Real>(scores)};
    return run(&Table::viterbi, executor, chains_of<Real>(problem), out);
  });
  define("k_best", [=](std::ptrdiff_t k, Problem problem, Address tags, Address scores, Object executor) {
    const BestPaths<Real> out{k, pointer<std::int64_t>(tags), pointer<Real>(scores)};
    return run(&Table::k_best, executor, chains_of<Real>(problem), out);
  });
  define("log_alphas", [=](Problem problem, Address alphas, Object executor) {
    return run(&Table::log_alphas, executor, chains_of<Real>(problem), pointer<Real>(alphas));
  });
  define("sample",
         [=](std::ptrdiff_t n, Problem problem, const py::tuple& uniforms, Address tags, Object executor) {
           const Samples out{n, view_of<const double, 3>(uniforms), pointer<std::int64_t>(tags)};
           return run(&Table::sample, executor, chains_of<Real>(problem), out);
         });
}

#if defined(PYBERT_CRF_CUDA)
// (how many GPUs there are, CUDA's message)
py::tuple cuda_devices() {
  const char* why = "";
  const int count = cuda::device_count(&why);
  return py::make_tuple(count, why);
}
#endif

}  // namespace

}  // namespace pybert_crf

PYBIND11_MODULE(_native, module) {
  using namespace pybert_crf;  // NOLINT: the names of this file
  module.doc() = "The operations of a linear-chain CRF in C++ and CUDA, on raw memory.";
  module.def("instruction_set", &cpu::instruction_set);
  module.attr("cpu_build") = PYBERT_CRF_CPU_BUILD;
  module.attr("cuda_build") = PYBERT_CRF_CUDA_BUILD;
  define_operations(module, "", "_float32", &cpu::operations<float>);
  define_operations(module, "", "_float64", &cpu::operations<double>);
#if defined(PYBERT_CRF_CUDA)
  module.attr("cuda_most_tags") = cuda::most_tags;
  module.def("cuda_devices", &cuda_devices);
  define_operations(module, "cuda_", "_float32", &cuda::operations<float>);
  define_operations(module, "cuda_", "_float64", &cuda::operations<double>);
#endif
}
