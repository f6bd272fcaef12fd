// Threads for one call, joined before it returns.
//
// Nothing outlives the call (no pool, no OpenMP runtime), so a child forked after a parallel call is safe.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace pybert_crf::cpu {

// Lane steps (one exponential and its additions) that a thread must have to do before it is worth starting:
// about a fifth of a millisecond, some ten times what starting it costs.
constexpr double steps_worth_a_thread = 2e5;

// Lets up to `threads` threads (the caller is one) take the chunks 0..chunks-1, each exactly once.
// `make_worker()` is called in each thread and returns a callable with that thread's own memory, which is
// then called with each chunk it takes. An exception of a worker is thrown again here.
template <class MakeWorker>
void for_each_chunk(std::ptrdiff_t chunks, double steps, int threads, MakeWorker make_worker) {
  std::atomic<std::ptrdiff_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_guard;
  const auto work = [&]() noexcept {
    try {
      auto worker = make_worker();
      for (std::ptrdiff_t chunk = next++; chunk < chunks; chunk = next++) worker(chunk);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_guard);
      if (!failure) failure = std::current_exception();
      next = chunks;
    }
  };
  const double useful =
      std::min({static_cast<double>(threads), static_cast<double>(chunks), 1 + steps / steps_worth_a_thread});
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(std::max(useful, 1.0)));
  try {
    for (int other = 1; other < static_cast<int>(useful); ++other) others.emplace_back(work);
  } catch (const std::exception&) {
    // The system has no more threads to give: those there are do all the chunks.
  }
  work();
  for (auto& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pybert_crf::cpu
