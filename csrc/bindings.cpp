// The only file that knows Python: addresses, sizes and strides come in, structs go on, the GIL is released.
//
// A tensor is a tuple (address, stride, ...), strides in elements; outputs are contiguous, and an address
// alone. Nothing is checked here: the caller has allocated and validated everything
// (pybert_crf/crf/native.py, pybert_crf/crf/numpy.py).
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "chain.hpp"
#if defined(PYBERT_CRF_CUDA)
#include "cuda/operations.hpp"
#endif

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

template <class Real>
void define_operations(py::module_& module, const std::string& suffix) {
  using Problem = const py::tuple&;
  module.def(("log_partition_" + suffix).c_str(), [](Problem problem, const py::object& paths, Address value,
                                                     Address log_z, Address messages, int threads) {
    const auto chains = chains_of<Real>(problem);
    const Paths given = paths_of(paths);
    const LogPartition<Real> out{pointer<Real>(value), pointer<Real>(log_z), pointer<Real>(messages)};
    const auto& operations = cpu::operations<Real>();
    const py::gil_scoped_release unlocked;
    return operations.log_partition(chains, given, out, threads);
  });
  module.def(("gradient_" + suffix).c_str(),
             [](Problem problem, const py::object& paths, Address grad, Address messages, Address log_z,
                Address d_emissions, Address d_start, Address d_transitions, Address d_end, int threads) {
               const auto chains = chains_of<Real>(problem);
               const Paths given = paths_of(paths);
               const Gradient<Real> out{pointer<Real>(d_emissions), pointer<Real>(d_start),
                                        pointer<Real>(d_transitions), pointer<Real>(d_end)};
               const auto& operations = cpu::operations<Real>();
               const py::gil_scoped_release unlocked;
               operations.gradient(chains, given, pointer<const Real>(grad), pointer<const Real>(messages),
                                   pointer<const Real>(log_z), out, threads);
             });
  module.def(("value_and_gradient_" + suffix).c_str(),
             [](Problem problem, const py::object& paths, Address grad, Address value, Address d_emissions,
                Address d_start, Address d_transitions, Address d_end, int threads) {
               const auto chains = chains_of<Real>(problem);
               const Paths given = paths_of(paths);
               const Gradient<Real> out{pointer<Real>(d_emissions), pointer<Real>(d_start),
                                        pointer<Real>(d_transitions), pointer<Real>(d_end)};
               const auto& operations = cpu::operations<Real>();
               const py::gil_scoped_release unlocked;
               return operations.value_and_gradient(chains, given, pointer<const Real>(grad),
                                                    pointer<Real>(value), out, threads);
             });
  module.def(("viterbi_" + suffix).c_str(), [](Problem problem, Address tags, Address scores, int threads) {
    const auto chains = chains_of<Real>(problem);
    const BestPaths<Real> out{1, pointer<std::int64_t>(tags), pointer<Real>(scores)};
    const auto& operations = cpu::operations<Real>();
    const py::gil_scoped_release unlocked;
    operations.viterbi(chains, out, threads);
  });
  module.def(("k_best_" + suffix).c_str(),
             [](std::ptrdiff_t k, Problem problem, Address tags, Address scores, int threads) {
               const auto chains = chains_of<Real>(problem);
               const BestPaths<Real> out{k, pointer<std::int64_t>(tags), pointer<Real>(scores)};
               const auto& operations = cpu::operations<Real>();
               const py::gil_scoped_release unlocked;
               operations.k_best(chains, out, threads);
             });
  module.def(("log_alphas_" + suffix).c_str(), [](Problem problem, Address alphas, int threads) {
    const auto chains = chains_of<Real>(problem);
    const auto& operations = cpu::operations<Real>();
    const py::gil_scoped_release unlocked;
    operations.log_alphas(chains, pointer<Real>(alphas), threads);
  });
  module.def(("sample_" + suffix).c_str(),
             [](std::ptrdiff_t n, Problem problem, const py::tuple& uniforms, Address tags, int threads) {
               const auto chains = chains_of<Real>(problem);
               const Samples out{n, view_of<const double, 3>(uniforms), pointer<std::int64_t>(tags)};
               const auto& operations = cpu::operations<Real>();
               const py::gil_scoped_release unlocked;
               operations.sample(chains, out, threads);
             });
}

#if defined(PYBERT_CRF_CUDA)
// (device, stream, workspace)
cuda::Place place_of(const py::tuple& place) {
  if (place.size() != 3) throw py::value_error("a place is (device, stream, workspace)");
  return {place[0].cast<int>(), pointer<void>(place[1].cast<Address>()),
          pointer<void>(place[2].cast<Address>())};
}

// The same operations on a GPU's memory: instead of threads they take a place, and return how many bytes of
// workspace they need where that has none.
template <class Real>
void define_cuda_operations(py::module_& module, const std::string& suffix) {
  using Problem = const py::tuple&;
  using PlaceTuple = const py::tuple&;
  module.def(
      ("cuda_log_partition_" + suffix).c_str(), [](Problem problem, const py::object& paths, Address value,
                                                   Address log_z, Address messages, PlaceTuple place) {
        const LogPartition<Real> out{pointer<Real>(value), pointer<Real>(log_z), pointer<Real>(messages)};
        return cuda::value_operations<Real>().log_partition(chains_of<Real>(problem), paths_of(paths), out,
                                                            place_of(place));
      });
  module.def(("cuda_gradient_" + suffix).c_str(), [](Problem problem, const py::object& paths, Address grad,
                                                     Address messages, Address log_z, Address d_emissions,
                                                     Address d_start, Address d_transitions, Address d_end,
                                                     PlaceTuple place) {
    const Gradient<Real> out{pointer<Real>(d_emissions), pointer<Real>(d_start), pointer<Real>(d_transitions),
                             pointer<Real>(d_end)};
    return cuda::value_operations<Real>().gradient(chains_of<Real>(problem), paths_of(paths),
                                                   pointer<const Real>(grad), pointer<const Real>(messages),
                                                   pointer<const Real>(log_z), out, place_of(place));
  });
  module.def(("cuda_value_and_gradient_" + suffix).c_str(),
             [](Problem problem, const py::object& paths, Address grad, Address value, Address d_emissions,
                Address d_start, Address d_transitions, Address d_end, PlaceTuple place) {
               const Gradient<Real> out{pointer<Real>(d_emissions), pointer<Real>(d_start),
                                        pointer<Real>(d_transitions), pointer<Real>(d_end)};
               return cuda::value_operations<Real>().value_and_gradient(
                   chains_of<Real>(problem), paths_of(paths), pointer<const Real>(grad), pointer<Real>(value),
                   out, place_of(place));
             });
  module.def(("cuda_viterbi_" + suffix).c_str(),
             [](Problem problem, Address tags, Address scores, PlaceTuple place) {
               const BestPaths<Real> out{1, pointer<std::int64_t>(tags), pointer<Real>(scores)};
               return cuda::path_operations<Real>().viterbi(chains_of<Real>(problem), out, place_of(place));
             });
  module.def(("cuda_k_best_" + suffix).c_str(),
             [](std::ptrdiff_t k, Problem problem, Address tags, Address scores, PlaceTuple place) {
               const BestPaths<Real> out{k, pointer<std::int64_t>(tags), pointer<Real>(scores)};
               return cuda::path_operations<Real>().k_best(chains_of<Real>(problem), out, place_of(place));
             });
  module.def(("cuda_log_alphas_" + suffix).c_str(), [](Problem problem, Address alphas, PlaceTuple place) {
    return cuda::path_operations<Real>().log_alphas(chains_of<Real>(problem), pointer<Real>(alphas),
                                                    place_of(place));
  });
  module.def(
      ("cuda_sample_" + suffix).c_str(),
      [](std::ptrdiff_t n, Problem problem, const py::tuple& uniforms, Address tags, PlaceTuple place) {
        const Samples out{n, view_of<const double, 3>(uniforms), pointer<std::int64_t>(tags)};
        return cuda::path_operations<Real>().sample(chains_of<Real>(problem), out, place_of(place));
      });
}

// (how many GPUs there are, CUDA's word for it)
py::tuple cuda_devices() {
  const char* why = "";
  const int count = cuda::device_count(&why);
  return py::make_tuple(count, why);
}
#endif

}  // namespace

}  // namespace pybert_crf

PYBIND11_MODULE(_native, module) {
  module.doc() = "The linear-chain CRF in C++; use it through pybert_crf.crf.native.";
  module.def("instruction_set", &pybert_crf::cpu::instruction_set);
  pybert_crf::define_operations<float>(module, "float32");
  pybert_crf::define_operations<double>(module, "float64");
#if defined(PYBERT_CRF_CUDA)
  module.attr("cuda_most_tags") = pybert_crf::cuda::most_tags;
  module.def("cuda_devices", &pybert_crf::cuda_devices);
  pybert_crf::define_cuda_operations<float>(module, "float32");
  pybert_crf::define_cuda_operations<double>(module, "float64");
#endif
}
