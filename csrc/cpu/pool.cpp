#include "cpu/pool.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(_WIN32)
#include <process.h>
#else
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pybert_crf::cpu {

namespace {

// How long a thread looks for the next job before it goes to sleep, from which it takes up to 100
// microseconds to wake: longer than PyTorch takes from one call of the layer to the next where nothing else
// is done, and next to nothing where an encoder runs in between.
constexpr auto patience = std::chrono::microseconds(400);

// Waits until ready() or for as long as `patience`; returns ready().
template <class Ready>
bool spin_until(Ready ready) {
  const auto until = std::chrono::steady_clock::now() + patience;
  do {
    for (int turn = 0; turn < 64; ++turn) {
      if (ready()) return true;
#if defined(__x86_64__)
      _mm_pause();
#endif
    }
  } while (std::chrono::steady_clock::now() < until);
  return ready();
}

class Pool {
 public:
  void run(int threads, void (*work)(void*), void* context) {
    const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock() || threads < 2) {  // another call has the threads: this one does without
      work(context);
      return;
    }
    open(threads - 1, work, context);
    std::exception_ptr failure = call(work, context);
    close();
    if (!failure) failure = failure_;
    failure_ = nullptr;
    if (failure) std::rethrow_exception(failure);
  }

 private:
  static std::exception_ptr call(void (*work)(void*), void* context) noexcept {
    try {
      work(context);
    } catch (...) {
      return std::current_exception();
    }
    return nullptr;
  }

  void open(int helpers, void (*work)(void*), void* context) {
    while (threads_.size() < static_cast<std::size_t>(helpers)) {
      try {
        threads_.emplace_back([this] { serve(); });
      } catch (const std::exception&) {
        break;  // the system has no more threads to give: those there are do all the work
      }
    }
    bool asleep;
    {
      const std::lock_guard<std::mutex> lock(guard_);
      work_ = work;
      context_ = context;
      places_ = helpers;
      asleep = sleeping_ > 0;
      job_.fetch_add(1, std::memory_order_release);
    }
    if (asleep) wake_.notify_all();
  }

  // Nobody may begin any more; waits for those that have.
  void close() {
    {
      const std::lock_guard<std::mutex> lock(guard_);
      places_ = 0;
    }
    const auto idle = [this] { return busy_.load(std::memory_order_acquire) == 0; };
    if (spin_until(idle)) return;
    std::unique_lock<std::mutex> lock(guard_);
    done_.wait(lock, idle);
  }

  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      const auto fresh = [&] { return job_.load(std::memory_order_acquire) != seen; };
      if (!spin_until(fresh)) {
        std::unique_lock<std::mutex> lock(guard_);
        ++sleeping_;
        wake_.wait(lock, fresh);
        --sleeping_;
      }
      void (*work)(void*) = nullptr;
      void* context = nullptr;
      {
        const std::lock_guard<std::mutex> lock(guard_);
        seen = job_.load(std::memory_order_relaxed);
        if (places_ == 0) continue;
        --places_;
        busy_.fetch_add(1, std::memory_order_relaxed);
        work = work_;
        context = context_;
      }
      const std::exception_ptr failure = call(work, context);
      const std::lock_guard<std::mutex> lock(guard_);
      if (failure) failure_ = failure;
      busy_.fetch_sub(1, std::memory_order_release);
      done_.notify_one();
    }
  }

  std::mutex turn_;  // held by the call that has the threads
  std::vector<std::thread> threads_;

  std::mutex guard_;  // of what follows
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<std::uint64_t> job_{0};
  std::atomic<int> busy_{0};
  int places_ = 0;  // how many more threads may begin the job
  int sleeping_ = 0;
  void (*work_)(void*) = nullptr;
  void* context_ = nullptr;
  std::exception_ptr failure_;
};

long process() {
#if defined(_WIN32)
  return _getpid();
#else
  return static_cast<long>(getpid());
#endif
}

struct ProcessPool {
  long process;
  Pool pool;
};

// This process's pool. Never destroyed: its threads wait in it until the process ends. A forked child, whose
// copy has no threads and may have been copied in the middle of a job, leaves that alone and makes another.
Pool& pool() {
  static std::atomic<ProcessPool*> current{nullptr};
  ProcessPool* found = current.load(std::memory_order_acquire);
  if (found != nullptr && found->process == process()) return found->pool;
  auto* made = new ProcessPool{process(), {}};
  if (current.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return made->pool;
  delete made;  // another thread was quicker
  return found->pool;
}

}  // namespace

void run_on_threads(int threads, void (*work)(void*), void* context) {
  if (threads < 2) {
    work(context);
  } else {
    pool().run(threads, work, context);
  }
}

}  // namespace pybert_crf::cpu
