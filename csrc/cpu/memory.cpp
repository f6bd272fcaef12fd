// Working memory that a thread keeps from one call to the next. The first access to each page of fresh memory
// is a page fault; for a call of some 100 microseconds they take as long as the work.
#include "cpu/memory.hpp"

#include <cstddef>
#include <new>

namespace pybert_crf::cpu {

namespace {

constexpr std::align_val_t alignment{64};

// Stands before each block, at the start of its allocation, so that blocks are aligned too.
struct alignas(64) Head {
  std::size_t size;  // of the block
};

void* from_system(std::size_t size) {
  return new (::operator new(sizeof(Head) + size, alignment)) Head{size} + 1;
}

void to_system(void* block) noexcept {
  ::operator delete(static_cast<Head*>(block) - 1, alignment);
}

// A thread's spare blocks.
class Spare {
 public:
  Spare() = default;
  Spare(const Spare&) = delete;
  Spare& operator=(const Spare&) = delete;
  ~Spare() {
    while (count_ > 0) to_system(blocks_[--count_]);
  }

  // A block of at least `size`, and not much more; null if there is none.
  void* take(std::size_t size) noexcept {
    for (int at = count_ - 1; at >= 0; --at) {
      void* block = blocks_[at];
      const std::size_t has = size_of(block);
      if (has < size || has > 2 * size) continue;
      blocks_[at] = blocks_[--count_];
      held_ -= has;
      return block;
    }
    return nullptr;
  }

  // Whether there is room for it.
  bool keep(void* block) noexcept {
    if (count_ == most_blocks || held_ + size_of(block) > most_bytes) return false;
    held_ += size_of(block);
    blocks_[count_++] = block;
    return true;
  }

 private:
  static std::size_t size_of(void* block) { return (static_cast<Head*>(block) - 1)->size; }

  static constexpr int most_blocks = 64;
  static constexpr std::size_t most_bytes = std::size_t{8} << 20;
  void* blocks_[most_blocks];
  int count_ = 0;
  std::size_t held_ = 0;
};

#if !defined(PYBERT_CRF_SANITIZED)
thread_local Spare spare;
#endif

}  // namespace

#if defined(PYBERT_CRF_SANITIZED)  // which is to see every block come and go
void* allocate(std::size_t bytes) {
  return from_system(bytes);
}

void release(void* memory) noexcept {
  to_system(memory);
}
#else
void* allocate(std::size_t bytes) {
  void* block = spare.take(bytes);
  return block != nullptr ? block : from_system(bytes);
}

void release(void* memory) noexcept {
  if (!spare.keep(memory)) to_system(memory);
}
#endif

}  // namespace pybert_crf::cpu
