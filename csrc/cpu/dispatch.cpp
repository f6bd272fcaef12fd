// Which instruction set to use on this machine.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cpu/instruction_sets.hpp"

namespace pybert_crf::cpu {

namespace {

struct InstructionSet {
  const char* name;
  bool usable;
  const Operations<float, Threads>& floats;
  const Operations<double, Threads>& doubles;
};

#if defined(PYBERT_CRF_HAS_AVX2) || defined(PYBERT_CRF_HAS_AVX512)
bool cpu_has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

#if defined(PYBERT_CRF_HAS_AVX512)
bool cpu_has_avx512() {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

// The set of this name, or the widest if it is null; null if this machine or this build lacks it.
const InstructionSet* find(const char* wanted) {
  static const InstructionSet sets[] = {
  // the widest first
#if defined(PYBERT_CRF_HAS_AVX512)
      {"avx512", cpu_has_avx512(), avx512::operations_float, avx512::operations_double},
#endif
#if defined(PYBERT_CRF_HAS_AVX2)
      {"avx2", cpu_has_avx2(), avx2::operations_float, avx2::operations_double},
#endif
#if defined(PYBERT_CRF_HAS_BASELINE)
      {"baseline", true, baseline::operations_float, baseline::operations_double},
#endif
#if defined(PYBERT_CRF_LOCKSTEP)
      {"lockstep", true, lockstep::operations_float, lockstep::operations_double},
#endif
  };
  for (const auto& set : sets)
    if (set.usable && (wanted == nullptr || std::strcmp(wanted, set.name) == 0)) return &set;
  return nullptr;
}

const InstructionSet& choose() {
  const char* wanted = std::getenv("PYBERT_CRF_ISA");
  if (const InstructionSet* set = find(wanted)) return *set;
  // Without a name there is always one, baseline. NOLINTNEXTLINE(clang-analyzer-cplusplus.StringChecker)
  throw std::runtime_error("PYBERT_CRF_ISA is '" + std::string(wanted) +
                           "', which is not an instruction set that this machine and this build have");
}

const InstructionSet& chosen() {
  static const InstructionSet& set = choose();
  return set;
}

}  // namespace

template <>
const Operations<float, Threads>& operations() {
  return chosen().floats;
}

template <>
const Operations<double, Threads>& operations() {
  return chosen().doubles;
}

template <>
const Operations<float, Threads>* operations_of(const char* set) {
  const InstructionSet* found = find(set);
  return found != nullptr ? &found->floats : nullptr;
}

template <>
const Operations<double, Threads>* operations_of(const char* set) {
  const InstructionSet* found = find(set);
  return found != nullptr ? &found->doubles : nullptr;
}

const char* instruction_set() {
  return chosen().name;
}

}  // namespace pybert_crf::cpu
