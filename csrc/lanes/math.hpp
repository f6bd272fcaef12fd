// exp and log without branches, written once for a scalar and for a vector register of either precision.
//
// About one unit in the last place; NaN comes out as NaN. They rely on IEEE arithmetic as written: never
// compile them with -ffast-math.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "compiler.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

template <class Real>
struct Format;

template <>
struct Format<float> {
  using Bits = std::uint32_t;
  static constexpr int mantissa_bits = 23;
  static constexpr Bits bias = 127;
  static constexpr float integer_at_bottom =
      0x1.8p23F;                                 // adding it leaves the rounded integer in the low bits
  static constexpr float ln2_high = 0x1.63p-1F;  // few enough bits that n * ln2_high is exact
  static constexpr float ln2_low = -0x1.bd0106p-13F;
  static constexpr float exp_underflow = -87.0F;  // below it exp is taken as 0 (it is under 2e-38)
  static constexpr int exp_degree = 7;            // the next term is under 6e-9
  static constexpr int log_terms = 5;             // the next term is under 3e-9
};

template <>
struct Format<double> {
  using Bits = std::uint64_t;
  static constexpr int mantissa_bits = 52;
  static constexpr Bits bias = 1023;
  static constexpr double integer_at_bottom = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42feep-1;
  static constexpr double ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double exp_underflow = -708.0;
  static constexpr int exp_degree = 13;
  static constexpr int log_terms = 10;
};

// The degree that is enough for exp in double where the argument was a `Real`: the next term of the series is
// under 3e-10 for float.
template <class Real>
constexpr int exp_degree_for = sizeof(Real) == sizeof(float) ? 8 : Format<double>::exp_degree;

template <class To, class From>
PYBERT_CRF_INLINE To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "a reinterpretation keeps the size");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

PYBERT_CRF_INLINE bool is_nan(double x) {
  return !(x == x);
}

// Of a score: no sum of scores means anything then.
PYBERT_CRF_INLINE bool is_nan_or_inf(double x) {
  return !(x < std::numeric_limits<double>::infinity());
}
PYBERT_CRF_INLINE bool is_nan_or_inf(float x) {
  return !(x < std::numeric_limits<float>::infinity());
}

// 1 / n!, the coefficients of exp.
template <class Real>
struct TaylorOfExp {
  Real coefficient[Format<Real>::exp_degree + 1];
  constexpr TaylorOfExp() : coefficient{} {
    double value = 1;
    for (int n = 0; n <= Format<Real>::exp_degree; value /= ++n) coefficient[n] = static_cast<Real>(value);
  }
};

// exp(x) for x up to 88 (float) or 709 (double); exactly 0 below exp_underflow and at -inf, exactly 1 at 0.
// x = n ln2 + r with |r| <= ln2 / 2; exp(r) by its Taylor series; 2^n by writing the exponent bits.
// Of `count` registers at once, operation by operation, so that none waits for another; y may be x.
template <class Real, class Register, class BitsRegister, int count, int degree = Format<Real>::exp_degree>
PYBERT_CRF_INLINE void exp_registers(const Register* x, Register* y) {
  using F = Format<Real>;
  constexpr Real log2_e = static_cast<Real>(1.44269504088896340736);
  constexpr TaylorOfExp<Real> taylor;
  const auto bottom = bits_as<typename F::Bits>(Real{F::integer_at_bottom});
  Register shifted[count], r[count], series[count];
  PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at) shifted[at] = x[at] * log2_e + F::integer_at_bottom;
  PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at) r[at] = shifted[at] - F::integer_at_bottom;
  PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at) r[at] = (x[at] - r[at] * F::ln2_high) - r[at] * F::ln2_low;
  PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at)
    series[at] = r[at] * taylor.coefficient[degree] + taylor.coefficient[degree - 1];
  PYBERT_CRF_UNROLL
  for (int k = degree - 2; k >= 0; --k) PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at) series[at] = series[at] * r[at] + taylor.coefficient[k];
  PYBERT_CRF_UNROLL
  for (int at = 0; at < count; ++at) {
    const BitsRegister exponent = (bits_as<BitsRegister>(shifted[at]) - bottom + F::bias) << F::mantissa_bits;
    const Register result = series[at] * bits_as<Register>(exponent);
    y[at] = x[at] < F::exp_underflow ? Register{} : result;
  }
}

template <class Real, class Register, class BitsRegister>
PYBERT_CRF_INLINE Register exp_register(Register x) {
  exp_registers<Real, Register, BitsRegister, 1>(&x, &x);
  return x;
}

// log(x) for x normal and positive; -inf at 0.
// x = 2^n m with sqrt(1/2) <= m < sqrt(2); log(m) = 2 atanh(s), s = (m - 1) / (m + 1), by its series.
template <class Real, class Register, class BitsRegister>
PYBERT_CRF_INLINE Register log_register(Register x) {
  using F = Format<Real>;
  using Bits = typename F::Bits;
  const Bits one = bits_as<Bits>(Real{1});
  const Bits root = bits_as<Bits>(static_cast<Real>(0.70710678118654752440));
  const Bits mantissa = (Bits{1} << F::mantissa_bits) - 1;
  const BitsRegister moved = bits_as<BitsRegister>(x) + (one - root);  // the exponent steps at the root
  const BitsRegister integer = (moved >> F::mantissa_bits) + bits_as<Bits>(Real{F::integer_at_bottom});
  const Register n = bits_as<Register>(integer) - (F::integer_at_bottom + static_cast<Real>(F::bias));
  const BitsRegister reduced = (moved & mantissa) + root;
  const Register m = bits_as<Register>(reduced);
  const Register s = (m - Real{1}) / (m + Real{1});
  const Register s2 = s * s;
  Register series = Register{} + Real{1} / static_cast<Real>(2 * F::log_terms - 1);
  for (int k = F::log_terms - 2; k >= 1; --k) series = series * s2 + Real{1} / static_cast<Real>(2 * k + 1);
  const Register log_m = (s + s) + (s + s) * (s2 * series);
  const Register result = n * F::ln2_high + (n * F::ln2_low + log_m);
  const Register infinity = Register{} + std::numeric_limits<Real>::infinity();
  return x > Real{0} ? result : (x == Real{0} ? -infinity : x);  // what is left is NaN
}

// The power of two that brings a positive `peak` into [1, 2), 1 for a peak of 0.
template <class Real>
PYBERT_CRF_INLINE Real scale_to_one(Real peak) {
  using F = Format<Real>;
  if (!(peak > 0)) return 1;
  const auto biased = bits_as<typename F::Bits>(peak) >> F::mantissa_bits;
  return bits_as<Real>((2 * F::bias - biased) << F::mantissa_bits);
}

// The exponent of a power of two.
template <class Real>
PYBERT_CRF_INLINE std::int64_t exponent_of(Real power) {
  using F = Format<Real>;
  return static_cast<std::int64_t>(bits_as<typename F::Bits>(power) >> F::mantissa_bits) -
         static_cast<std::int64_t>(F::bias);
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
