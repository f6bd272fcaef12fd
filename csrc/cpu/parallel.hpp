// Tasks to threads, and a thread's own memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <type_traits>

#include "cpu/memory.hpp"
#include "cpu/pool.hpp"
#include "problem.hpp"

namespace pybert_crf::PYBERT_CRF_TARGET {

// Uninitialised memory of a number of T; not one of the standard library's containers, whose code the linker
// would share between instruction sets.
template <class T>
class Buffer {
 public:
  static_assert(std::is_trivially_destructible_v<T>, "nothing is destroyed");

  Buffer() = default;
  explicit Buffer(std::ptrdiff_t size)
      : data_(static_cast<T*>(cpu::allocate(static_cast<std::size_t>(size > 0 ? size : 1) * sizeof(T)))) {}
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() {
    if (data_ != nullptr) cpu::release(data_);
  }

  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
};

template <class T>
PYBERT_CRF_INLINE void fill(T* to, std::ptrdiff_t size, T value) {
  for (std::ptrdiff_t at = 0; at < size; ++at) to[at] = value;
}

// Lane steps (an addition and a multiplication) that a thread must have to do before it is worth waking:
// about ten microseconds.
constexpr double steps_worth_a_thread = 5e4;

// Lets up to `threads` threads take the tasks 0..count-1, each exactly once. `make_worker()` is called in
// each thread and returns a callable with that thread's own memory, which is then called with each task it
// takes.
template <class MakeWorker>
void for_each_task(std::ptrdiff_t count, double steps, int threads, const MakeWorker& make_worker) {
  struct Job {
    std::atomic<std::ptrdiff_t> next;
    std::ptrdiff_t count;
    const MakeWorker& make_worker;
  } job{{0}, count, make_worker};
  double useful = 1 + steps / steps_worth_a_thread;
  if (useful > static_cast<double>(count)) useful = static_cast<double>(count);
  if (useful > static_cast<double>(threads)) useful = static_cast<double>(threads);
  cpu::run_on_threads(
      static_cast<int>(useful),
      [](void* context) {
        Job& shared = *static_cast<Job*>(context);
        std::ptrdiff_t task = shared.next.fetch_add(1, std::memory_order_relaxed);
        if (task >= shared.count) return;
        auto worker = shared.make_worker();
        for (; task < shared.count; task = shared.next.fetch_add(1, std::memory_order_relaxed)) worker(task);
      },
      &job);
}

// A batch of fewer rows has its rows cut in two: each of the two sweeps of a row is a task. This does not
// depend on the number of threads, so the bits do not either.
constexpr std::ptrdiff_t rows_to_cut = 8;

template <class Real>
PYBERT_CRF_INLINE double count_steps(const Chains<Real>& chains) {
  return static_cast<double>(chains.batch * chains.time) *
         static_cast<double>(chains.tags * (chains.tags + 8));
}

}  // namespace pybert_crf::PYBERT_CRF_TARGET
