// exp and log against the standard library's, in double registers' and float registers' own precision.
#include <cmath>
#include <limits>

#include "check.hpp"
#include "lanes/cpu.hpp"

using pybert_crf::PYBERT_CRF_TARGET::CpuLanes;

// By groups of every width, which fill other registers, and by the loop over published numbers: all the same.
template <class Real, int width>
Real exp_by(Real x) {
  using Lanes = CpuLanes<Real, width>;
  Real out[width], published[width];
  Lanes::store(out, Lanes::exp(Lanes::all(x)));
  for (Real& number : published) number = x;
  Lanes::exp_all(published, width);
  for (int lane = 0; lane < width; ++lane) {
    CHECK(out[lane] == out[0] || out[0] != out[0]);
    CHECK(published[lane] == out[0] || out[0] != out[0]);
  }
  return out[width - 1];
}

template <class Real>
Real exp_of(Real x) {
  const Real value = exp_by<Real, 8>(x);
  CHECK((exp_by<Real, 16>(x) == value || value != value));
  CHECK((exp_by<Real, 32>(x) == value || value != value));
  return value;
}

template <class Real>
Real log_of(Real x) {
  Real out[16];
  CpuLanes<Real, 16>::store(out, CpuLanes<Real, 16>::log(CpuLanes<Real, 16>::all(x)));
  return out[0];
}

// Distance in units of the last place of `exact`.
template <class Real>
double ulps(Real got, long double exact) {
  const Real rounded = static_cast<Real>(exact);
  const Real unit =
      std::nextafter(std::fabs(rounded), std::numeric_limits<Real>::infinity()) - std::fabs(rounded);
  return static_cast<double>(std::fabs(static_cast<long double>(got) - exact) /
                             static_cast<long double>(unit));
}

template <class Real>
void test_precision(Real smallest_exponent) {
  double worst_exp = 0, worst_log = 0;
  for (int step = 0; step <= 50000; ++step) {
    const Real share = static_cast<Real>(step) / 50000;
    const Real x = smallest_exponent * share;
    worst_exp = std::fmax(worst_exp, ulps(exp_of(x), std::exp(static_cast<long double>(x))));
    const Real near = 1 + share;
    worst_log = std::fmax(worst_log, ulps(log_of(near), std::log(static_cast<long double>(near))));
    const Real far = std::exp(share * 20);
    worst_log = std::fmax(worst_log, ulps(log_of(far), std::log(static_cast<long double>(far))));
  }
  std::printf("exp is within %.2f, log within %.2f units in the last place\n", worst_exp, worst_log);
  CHECK(worst_exp <= 2);
  CHECK(worst_log <= 3);
}

template <class Real>
void test_special_values() {
  const Real inf = std::numeric_limits<Real>::infinity();
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  CHECK(exp_of<Real>(0) == 1);
  CHECK(exp_of<Real>(-inf) == 0);
  CHECK(exp_of<Real>(-std::numeric_limits<Real>::max()) == 0);
  CHECK(std::isnan(exp_of(nan)));
  CHECK(log_of<Real>(1) == 0);
  CHECK(log_of<Real>(0) == -inf);
  CHECK(std::isnan(log_of(nan)));
}

#define NAME_OF(target) #target
#define NAME(target) NAME_OF(target)

// Whether the processor has what this file was compiled for.
bool is_supported() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

int main() {
  std::printf("instruction set: %s\n", NAME(PYBERT_CRF_TARGET));
  if (!is_supported()) return skipped;
  test_precision<float>(-87);
  test_precision<double>(-708);
  test_special_values<float>();
  test_special_values<double>();
  return report("math");
}
