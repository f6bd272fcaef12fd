// The only file that knows Python: addresses, sizes and strides come in, structs go on, the GIL is released.
//
// Python gives a struct as a tuple of its fields in their order, a tensor as (address, strides in elements),
// and an array without strides as its address. Nothing is checked here: the caller has allocated and
// validated everything.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>

#include "operations.hpp"

namespace py = pybind11;

namespace pybert_crf {

namespace {

// What Python gives for an argument of type T of an operation, and the argument made from it.
template <class T>
struct Argument {
  using Given = T;
  static T from(T given) { return given; }
};

template <class T>
struct Argument<T*> {
  using Given = std::uintptr_t;
  static T* from(Given address) { return reinterpret_cast<T*>(address); }
};

template <class T, int Rank>
struct Argument<View<T, Rank>> {
  using Given = std::tuple<std::uintptr_t, std::array<std::ptrdiff_t, Rank>>;
  static View<T, Rank> from(const Given& tensor) {
    const auto& [address, strides] = tensor;
    View<T, Rank> view{Argument<T*>::from(address), {}};
    for (std::size_t axis = 0; axis < Rank; ++axis) view.stride[axis] = strides[axis];
    return view;
  }
};

template <class Struct, class... Fields>
struct Tuple {
  using Given = std::tuple<typename Argument<Fields>::Given...>;
  static Struct from(const Given& given) {
    return std::apply([](const auto&... fields) { return Struct{Argument<Fields>::from(fields)...}; }, given);
  }
};

using Size = std::ptrdiff_t;
template <class Real>
struct Argument<Chains<Real>>
    : Tuple<Chains<Real>, Size, Size, Size, View<const Real, 3>, View<const std::uint8_t, 2>,
            View<const Real, 1>, View<const Real, 2>, View<const Real, 1>> {};
template <class Real>
struct Argument<LogPartition<Real>> : Tuple<LogPartition<Real>, Real*, Real*, Real*> {};
template <class Real>
struct Argument<Gradient<Real>> : Tuple<Gradient<Real>, Real*, Real*, Real*, Real*> {};
template <class Real>
struct Argument<BestPaths<Real>> : Tuple<BestPaths<Real>, Size, std::int64_t*, Real*> {};
template <>
struct Argument<Samples> : Tuple<Samples, Size, View<const double, 3>, std::int64_t*> {};
template <>
struct Argument<cpu::Threads> : Tuple<cpu::Threads, int> {};
template <>
struct Argument<cuda::Stream> : Tuple<cuda::Stream, int, void*, void*> {};

template <class Real, class Executor, class... Arguments>
void define(py::module_& module, const std::string& name, const Operations<Real, Executor>& (*table)(),
            std::ptrdiff_t (*Operations<Real, Executor>::*operation)(Arguments...)) {
  module.def(name.c_str(), [=](const typename Argument<std::decay_t<Arguments>>::Given&... given) {
    const py::gil_scoped_release unlocked;
    return (table().*operation)(Argument<std::decay_t<Arguments>>::from(given)...);
  });
}

template <class Real, class Executor>
void define_operations(py::module_& module, const std::string& prefix, const std::string& suffix,
                       const Operations<Real, Executor>& (*table)()) {
  using Table = Operations<Real, Executor>;
  define(module, prefix + "log_partition" + suffix, table, &Table::log_partition);
  define(module, prefix + "gradient" + suffix, table, &Table::gradient);
  define(module, prefix + "value_and_gradient" + suffix, table, &Table::value_and_gradient);
  define(module, prefix + "viterbi" + suffix, table, &Table::viterbi);
  define(module, prefix + "k_best" + suffix, table, &Table::k_best);
  define(module, prefix + "log_alphas" + suffix, table, &Table::log_alphas);
  define(module, prefix + "sample" + suffix, table, &Table::sample);
}

#if defined(PYBERT_CRF_CUDA)
// (how many GPUs there are, CUDA's message)
std::tuple<int, const char*> cuda_devices() {
  const char* why = "";
  const int count = cuda::device_count(&why);
  return {count, why};
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
