// What a group of lanes is on the CPU.
//
// The algorithms in chain/ are written for a group of `width` lanes, each of which owns one tag. A group
// holds one `Values` (a number for each lane); what it stores in memory is published: every lane may read it.
// Here a group is a fixed number of vector registers, the arrays are padded to whole groups, and an algorithm
// walks over as many groups as the tags need. A GPU's group would be the threads of a warp or a block, under
// the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "lanes/math.hpp"

namespace pybert_crf {

// GCC and Clang have vector types that behave like numbers; elsewhere a register is one number.
#if defined(__GNUC__) && defined(__AVX__)
#define PYBERT_CRF_REGISTER(type) __attribute__((vector_size(32))) type
#elif defined(__GNUC__)
#define PYBERT_CRF_REGISTER(type) __attribute__((vector_size(16))) type
#else
#define PYBERT_CRF_REGISTER(type) type
#endif

template <class Real>
struct RegisterOf;

template <>
struct RegisterOf<float> {
  typedef PYBERT_CRF_REGISTER(float) Type;
  typedef PYBERT_CRF_REGISTER(std::uint32_t) Bits;
};

template <>
struct RegisterOf<double> {
  typedef PYBERT_CRF_REGISTER(double) Type;
  typedef PYBERT_CRF_REGISTER(std::uint64_t) Bits;
};

#undef PYBERT_CRF_REGISTER

template <class Number>
struct CpuLanes {
  using Real = Number;
  using Register = typename RegisterOf<Real>::Type;
  using Bits = typename RegisterOf<Real>::Bits;
  using Index = typename Format<Real>::Bits;

  static constexpr std::ptrdiff_t width = 8;
  static constexpr int registers = static_cast<int>(width * sizeof(Real) / sizeof(Register));

  // One number for each lane.
  struct Values {
    Register part[registers];
  };
  // One tag for each lane.
  struct Tags {
    Bits part[registers];
  };

  static Values load(const Real* from) {
    Values values;
    std::memcpy(&values, from, sizeof(values));
    return values;
  }

  static void store(Real* to, const Values& values) { std::memcpy(to, &values, sizeof(values)); }

  static Values all(Real number) {
    Values values;
    for (auto& part : values.part) part = number - Register{};
    return values;
  }

  static Values exp(const Values& x) {
    Values values;
    for (int r = 0; r < registers; ++r) values.part[r] = exp_register<Real, Register, Bits>(x.part[r]);
    return values;
  }

  static Values log(const Values& x) {
    Values values;
    for (int r = 0; r < registers; ++r) values.part[r] = log_register<Real, Register, Bits>(x.part[r]);
    return values;
  }

  // The greater; `b` where either is NaN, so that a NaN in a sequence of maxima is not lost.
  static Values max(const Values& a, const Values& b) {
    Values values;
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] > b.part[r] ? a.part[r] : b.part[r];
    return values;
  }

  // `a`, and 0 where that is -inf.
  static Values finite_or_zero(const Values& a) {
    Values values;
    for (int r = 0; r < registers; ++r)
      values.part[r] = a.part[r] == -std::numeric_limits<Real>::infinity() ? Register{} : a.part[r];
    return values;
  }

  // Takes over `candidate` (and its tag) in the lanes where it is truly greater: the first of equals stays.
  static void keep_best(Values& best, Tags& tags, const Values& candidate, Index tag) {
    for (int r = 0; r < registers; ++r) {
      const auto better = candidate.part[r] > best.part[r];
      tags.part[r] = better ? Bits{} + tag : tags.part[r];
      best.part[r] = better ? candidate.part[r] : best.part[r];
    }
  }

  // Stores the tags in a type just wide enough for them.
  template <class Narrow>
  static void store(Narrow* to, const Tags& tags) {
    Index wide[width];
    std::memcpy(wide, &tags, sizeof(wide));
    for (std::ptrdiff_t lane = 0; lane < width; ++lane) to[lane] = static_cast<Narrow>(wide[lane]);
  }

  friend Values operator+(const Values& a, const Values& b) {
    Values values;
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] + b.part[r];
    return values;
  }

  friend Values operator-(const Values& a, const Values& b) {
    Values values;
    for (int r = 0; r < registers; ++r) values.part[r] = a.part[r] - b.part[r];
    return values;
  }

  // The greatest of `size` (whole groups) published numbers; NaN only if all are not greater than it.
  static double max_of(const double* numbers, std::ptrdiff_t size) {
    double greatest[width];
    for (std::ptrdiff_t lane = 0; lane < width; ++lane) greatest[lane] = numbers[lane];
    for (std::ptrdiff_t group = width; group < size; group += width)
      for (std::ptrdiff_t lane = 0; lane < width; ++lane)
        greatest[lane] = greatest[lane] > numbers[group + lane] ? greatest[lane] : numbers[group + lane];
    for (std::ptrdiff_t lane = 1; lane < width; ++lane)
      greatest[0] = greatest[0] > greatest[lane] ? greatest[0] : greatest[lane];
    return greatest[0];
  }

  // The sum of `size` (whole groups) published numbers, in double.
  static double sum_of(const Real* numbers, std::ptrdiff_t size) {
    double sums[width] = {};
    for (std::ptrdiff_t group = 0; group < size; group += width)
      for (std::ptrdiff_t lane = 0; lane < width; ++lane)
        sums[lane] += static_cast<double>(numbers[group + lane]);
    double sum = 0;
    for (const double lane : sums) sum += lane;
    return sum;
  }
};

}  // namespace pybert_crf
