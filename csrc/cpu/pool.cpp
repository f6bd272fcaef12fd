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

// How long a thread polls for the next job before it goes to sleep; waking it takes up to 100 microseconds.
// It is longer than PyTorch takes from one call of the layer to the next if nothing else is done, and little
// beside an encoder that runs in between.
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
  // A job's number, how many more threads may begin it, and how many are at work on it, in one word: so no
  // thread begins a job that has been closed.
  static constexpr std::uint64_t one_busy = 1;
  static constexpr std::uint64_t one_place = std::uint64_t{1} << 16;
  static constexpr std::uint64_t one_job = std::uint64_t{1} << 32;
  static constexpr std::uint64_t most = one_place - 1;  // threads

  static std::uint64_t job_of(std::uint64_t state) { return state / one_job; }
  static std::uint64_t places_of(std::uint64_t state) { return state / one_place % one_place; }
  static std::uint64_t busy_of(std::uint64_t state) { return state % one_place; }

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
        break;  // the system gives no more threads: those there are do all the work
      }
    }
    work_ = work;
    context_ = context;
    const auto wanted = static_cast<std::uint64_t>(helpers);
    state_.store((job_of(state_.load()) + 1) * one_job + (wanted < most ? wanted : most) * one_place);
    if (sleeping_.load() == 0) return;
    {
      const std::lock_guard<std::mutex> lock(guard_);
    }  // a thread that was about to sleep is asleep now
    wake_.notify_all();
  }

  // Lets no further thread begin the job, and waits for those that have.
  void close() {
    state_.fetch_and(~(most * one_place));
    const auto idle = [this] { return busy_of(state_.load()) == 0; };
    if (spin_until(idle)) return;
    std::unique_lock<std::mutex> lock(guard_);
    waiting_.store(true);
    done_.wait(lock, idle);
    waiting_.store(false);
  }

  // Takes a place in the job at hand, unless that is the `seen` one or has none left.
  bool begin(std::uint64_t& seen) {
    std::uint64_t state = state_.load();
    while (job_of(state) != seen && places_of(state) > 0) {
      if (state_.compare_exchange_weak(state, state - one_place + one_busy)) {
        seen = job_of(state);
        return true;
      }
    }
    seen = job_of(state);
    return false;
  }

  void serve() {
    std::uint64_t seen = 0;
    for (;;) {
      const auto fresh = [&] { return job_of(state_.load()) != seen; };
      if (!spin_until(fresh)) {
        std::unique_lock<std::mutex> lock(guard_);
        sleeping_.fetch_add(1);
        wake_.wait(lock, fresh);
        sleeping_.fetch_sub(1);
      }
      if (!begin(seen)) continue;
      const std::exception_ptr failure = call(work_, context_);
      if (failure) {
        const std::lock_guard<std::mutex> lock(guard_);
        failure_ = failure;
      }
      state_.fetch_sub(one_busy);
      if (!waiting_.load()) continue;
      {
        const std::lock_guard<std::mutex> lock(guard_);
      }
      done_.notify_one();
    }
  }

  std::mutex turn_;  // held by the call that has the threads
  std::vector<std::thread> threads_;

  // Written by open() before `state_`; read by threads that have a place in the job.
  void (*work_)(void*) = nullptr;
  void* context_ = nullptr;

  std::atomic<std::uint64_t> state_{0};
  // No lock is taken while all threads are awake. A thread that goes to sleep first increments `sleeping_`
  // and then loads `state_` once more; open() first stores `state_` and then loads `sleeping_`. All four are
  // sequentially consistent, so they have one order: either open() loads the increment and wakes the thread,
  // or the thread loads the new state and does not sleep. With weaker orders a load might be done before the
  // store ahead of it, both might read old values, and the thread would sleep through the job. The same holds
  // of `waiting_`, stored by close(), and the end of a job.
  std::atomic<int> sleeping_{0};
  std::atomic<bool> waiting_{false};
  std::mutex guard_;  // of sleep, and of `failure_`
  std::condition_variable wake_;
  std::condition_variable done_;
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
