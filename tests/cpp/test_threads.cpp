// Work that is really spread over threads: the same bits for every number of them, and failures come through.
#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "check.hpp"
#include "cpu/parallel.hpp"
#include "problem.hpp"

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class Real>
void test_same_bits(std::ptrdiff_t batch, std::ptrdiff_t time, std::ptrdiff_t tags) {
  Problem<Real> problem(batch, time, tags, Layout::batch_first, 7, 3, 0, 0.05, 0.2);
  const Results<Real> one(problem, 1);
  for (const int threads : {2, 3, 8}) {
    const Results<Real> many(problem, threads);
    CHECK(same_bits(one.log_z, many.log_z));
    CHECK(same_bits(one.alphas, many.alphas));
    CHECK(same_bits(one.d_emissions, many.d_emissions));
    CHECK(same_bits(one.d_start, many.d_start));
    CHECK(same_bits(one.d_transitions, many.d_transitions));
    CHECK(same_bits(one.d_end, many.d_end));
    CHECK(same_bits(one.tags, many.tags));
    CHECK(same_bits(one.scores, many.scores));
  }
}

void test_each_chunk_once() {
  std::vector<std::atomic<int>> seen(1000);
  pybert_crf::cpu::for_each_chunk(
      1000, 1e9, 8, [&] { return [&](std::ptrdiff_t chunk) { ++seen[static_cast<std::size_t>(chunk)]; }; });
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& count) { return count == 1; }));
}

void test_exceptions_come_through() {
  bool caught = false;
  try {
    pybert_crf::cpu::for_each_chunk(100, 1e9, 4, [] {
      return [](std::ptrdiff_t chunk) {
        if (chunk == 37) throw std::runtime_error("chunk 37");
      };
    });
  } catch (const std::runtime_error&) {
    caught = true;
  }
  CHECK(caught);
}

// A long chain stays as exact as a short one: with no scores at all, log Z = T log K and every tag has 1 / K.
template <class Real>
void test_long_chain() {
  const std::ptrdiff_t time = 100000;
  Problem<Real> problem(2, time, 5, Layout::time_first, 3, 0);
  const Results<Real> got(problem, 2);
  for (std::size_t row = 0; row < 2; ++row) {
    CHECK_CLOSE(got.log_z[row], static_cast<double>(time) * std::log(5.0), 1e-6);
    const double share = static_cast<double>(problem.grad[row]) / 5;
    double worst = 0;
    for (std::ptrdiff_t t = 0; t < time; ++t)
      for (std::ptrdiff_t tag = 0; tag < 5; ++tag)
        worst = std::fmax(worst, std::fabs(static_cast<double>(got.d_emissions_view(row, t, tag)) - share));
    CHECK(worst < 1e-6);
  }
}

int main() {
  test_each_chunk_once();
  test_exceptions_come_through();
  test_same_bits<float>(67, 40, 21);
  test_same_bits<double>(67, 40, 21);
  test_same_bits<float>(5, 30, 300);  // two-byte back-pointers
  test_long_chain<float>();
  test_long_chain<double>();
  return report("threads");
}
