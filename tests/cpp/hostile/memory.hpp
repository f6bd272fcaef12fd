// Memory of exactly the size that is asked for, so that every step outside is seen.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

// An array that some memory owns.
template <class T>
struct Array {
  T* data;
  std::size_t size;

  T* begin() const { return data; }
  T* end() const { return data + size; }
  T& operator[](std::ptrdiff_t at) const { return data[at]; }
};

// From the heap, whose ends the address sanitizer watches.
class Heap {
 public:
  void* bytes(std::size_t size) {
    blocks_.emplace_back(::operator new(size));
    return blocks_.back().get();
  }

 private:
  struct Delete {
    void operator()(void* block) const { ::operator delete(block); }
  };
  std::vector<std::unique_ptr<void, Delete>> blocks_;
};

// Each block ends where a page begins that may be neither read nor written: a step beyond ends the process,
// with a sanitizer or without.
class Pages {
 public:
  Pages() = default;
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() {
    for (const auto& [start, length] : mappings_) munmap(start, length);
  }

  void* bytes(std::size_t size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t readable = (size + page - 1) / page * page;
    void* start = mmap(nullptr, readable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    mappings_.push_back({start, readable + page});
    if (mprotect(static_cast<char*>(start) + readable, page, PROT_NONE) != 0) throw std::bad_alloc();
    return static_cast<char*>(start) + (readable - size);
  }

 private:
  struct Mapping {
    void* start;
    std::size_t length;
  };
  std::vector<Mapping> mappings_;
};

// `size` numbers, each of them `value`.
template <class T, class Memory>
Array<T> array_of(Memory& memory, std::ptrdiff_t size, T value) {
  const auto count = static_cast<std::size_t>(size);
  const Array<T> array{static_cast<T*>(memory.bytes(count * sizeof(T))), count};
  std::fill(array.begin(), array.end(), value);
  return array;
}
