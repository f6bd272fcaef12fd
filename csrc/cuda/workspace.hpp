// Memory that the caller allocates for a call, handed out piece by piece. Without a base address it only adds
// up what is needed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pybert_crf::cuda {

class Workspace {
 public:
  explicit Workspace(void* base) : base_(static_cast<unsigned char*>(base)) {}

  template <class T>
  T* take(std::ptrdiff_t count) {
    const std::size_t at = used_;
    used_ +=
        (static_cast<std::size_t>(count > 0 ? count : 1) * sizeof(T) + alignment - 1) / alignment * alignment;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + at);
  }

  std::size_t used() const { return used_; }

 private:
  static constexpr std::size_t alignment = 256;
  unsigned char* base_;
  std::size_t used_ = 0;
};

}  // namespace pybert_crf::cuda
