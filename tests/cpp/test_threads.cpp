// Work that is really spread over threads: the same bits for every number of them, and failures come through.
#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "cpu/parallel.hpp"
#include "random_problem.hpp"

template <class Real>
void test_same_bits(std::ptrdiff_t batch, std::ptrdiff_t time, std::ptrdiff_t tags) {
  Problem<Real> problem(batch, time, tags, Layout::batch_first, 7, 3, 0, 0.05, 0.2);
  const Results<Real> one(problem, 1);
  for (const int threads : {2, 3, 8}) {
    const Results<Real> many(problem, threads);
    CHECK(same_bits(one.log_z, many.log_z));
    CHECK(same_bits(one.likelihood, many.likelihood));
    CHECK(same_bits(one.messages, many.messages));
    CHECK(same_bits(one.alphas, many.alphas));
    CHECK(same_bits(one.t_emissions, many.t_emissions));
    CHECK(same_bits(one.t_transitions, many.t_transitions));
    CHECK(same_bits(one.ranked_tags, many.ranked_tags));
    CHECK(same_bits(one.ranked_scores, many.ranked_scores));
    CHECK(same_bits(one.samples, many.samples));
    CHECK(same_bits(one.d_emissions, many.d_emissions));
    CHECK(same_bits(one.d_start, many.d_start));
    CHECK(same_bits(one.d_transitions, many.d_transitions));
    CHECK(same_bits(one.d_end, many.d_end));
    CHECK(same_bits(one.tags, many.tags));
    CHECK(same_bits(one.scores, many.scores));
    test_together(problem, one, threads);
  }
}

void test_each_task_once() {
  std::vector<std::atomic<int>> seen(1000);
  pybert_crf::baseline::for_each_task(
      1000, 1e9, 8, [&] { return [&](std::ptrdiff_t task) { ++seen[static_cast<std::size_t>(task)]; }; });
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& count) { return count == 1; }));
}

void test_exceptions_come_through() {
  bool caught = false;
  try {
    pybert_crf::baseline::for_each_task(100, 1e9, 4, [] {
      return [](std::ptrdiff_t task) {
        if (task == 37) throw std::runtime_error("task 37");
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
#if defined(PYBERT_CRF_SANITIZED)  // where a step takes 20 times as long, and its arithmetic is the same
  constexpr std::size_t time = 10000;
#else
  constexpr std::size_t time = 100000;
#endif
  Problem<Real> problem(2, time, 5, Layout::batch_first, 3, 0);
  const Results<Real> got(problem, 2);
  for (std::size_t row = 0; row < 2; ++row) {
    CHECK_CLOSE(got.log_z[row], static_cast<double>(time) * std::log(5.0), 1e-6);
    const double share = static_cast<double>(problem.grad[row]) / 5;
    double worst = 0;
    for (std::size_t t = 0; t < time; ++t)
      for (std::size_t tag = 0; tag < 5; ++tag)
        worst = std::fmax(
            worst, std::fabs(static_cast<double>(got.d_emissions[(row * time + t) * 5 + tag]) - share));
    CHECK(worst < 1e-6);
  }
}

// Whoever finds the threads at another's work does its own alone; a forked child makes threads of its own.
void test_calls_at_once() {
  Problem<float> problem(33, 30, 9, Layout::batch_first, 11);
  const Results<float> expected(problem, 2);
  std::atomic<int> different{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([&] {
      for (int call = 0; call < 5; ++call) {
        Problem<float> own = problem;
        different += !same_bits(expected.d_emissions, Results<float>(own, 3).d_emissions);
      }
    });
  for (auto& caller : callers) caller.join();
  CHECK(different == 0);
}

#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)  // whose runtime does not follow a fork of many threads
void test_forked_child() {
  Problem<double> problem(33, 30, 9, Layout::batch_first, 12);
  const Results<double> expected(problem, 3);
  const pid_t child = fork();
  if (child == 0) _exit(same_bits(expected.log_z, Results<double>(problem, 3).log_z) ? 0 : 1);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
#else
void test_forked_child() {}
#endif

int main() {
  if (!has_instruction_set()) return skipped;
  test_each_task_once();
  test_calls_at_once();
  test_forked_child();
  test_exceptions_come_through();
  test_same_bits<float>(67, 40, 21);
  test_same_bits<double>(67, 40, 21);
  test_same_bits<float>(5, 30, 300);
  test_same_bits<double>(3, 41, 9);  // rows cut in two
  test_long_chain<float>();
  test_long_chain<double>();
  return report("threads");
}
