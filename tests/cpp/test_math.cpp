// exp and log against the standard library's, in double registers' and float registers' own precision.
#include <cmath>
#include <limits>

#include "check.hpp"
#include "lanes/cpu.hpp"

using pybert_crf::CpuLanes;

template <class Real>
Real exp_of(Real x) {
  Real out[CpuLanes<Real>::width];
  CpuLanes<Real>::store(out, CpuLanes<Real>::exp(CpuLanes<Real>::all(x)));
  return out[CpuLanes<Real>::width - 1];
}

template <class Real>
Real log_of(Real x) {
  Real out[CpuLanes<Real>::width];
  CpuLanes<Real>::store(out, CpuLanes<Real>::log(CpuLanes<Real>::all(x)));
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
  for (int step = 0; step <= 200000; ++step) {
    const Real share = static_cast<Real>(step) / 200000;
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

int main() {
  test_precision<float>(-87);
  test_precision<double>(-708);
  test_special_values<float>();
  test_special_values<double>();
  return report("math");
}
