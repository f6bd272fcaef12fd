// The whole test framework: count failures, print them, go on.
#pragma once

#include <cmath>
#include <cstdio>

inline int& failures() {
  static int count = 0;
  return count;
}

#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) {                                                   \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      ++failures();                                                       \
    }                                                                     \
  } while (false)

// Equal, infinities included, or within `tolerance` of each other, absolutely or relatively.
inline bool close(double a, double b, double tolerance) {
  if (a == b) return true;
  if (!std::isfinite(a) || !std::isfinite(b)) return false;
  return std::fabs(a - b) <= tolerance * std::fmax(1.0, std::fmax(std::fabs(a), std::fabs(b)));
}

#define CHECK_CLOSE(a, b, tolerance)                                                              \
  do {                                                                                            \
    const double left = static_cast<double>(a), right = static_cast<double>(b);                   \
    if (!close(left, right, tolerance)) {                                                         \
      std::printf("%s:%d: %s = %.17g but %s = %.17g\n", __FILE__, __LINE__, #a, left, #b, right); \
      ++failures();                                                                               \
    }                                                                                             \
  } while (false)

// For a test that this machine cannot run: ctest counts it as skipped.
constexpr int skipped = 77;

inline int report(const char* name) {
  std::printf("%s: %s (%d failures)\n", name, failures() ? "FAILED" : "passed", failures());
  return failures() ? 1 : 0;
}
