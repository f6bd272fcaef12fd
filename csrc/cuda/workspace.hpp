// Memory that the caller allocates for a call, handed out piece by piece. Without a base address it only adds
// up what is needed.
#pragma once

#include <cstddef>

namespace pybert_crf::cuda {

class Workspace {
 public:
  explicit Workspace(void* base) : base_(static_cast<unsigned char*>(base)) {}

  template <class T>
  T* take(std::ptrdiff_t count) {
    const std::ptrdiff_t at = used_;
    used_ += ((count > 0 ? count : 1) * static_cast<std::ptrdiff_t>(sizeof(T)) + alignment - 1) / alignment *
             alignment;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + at);
  }

  std::ptrdiff_t used() const { return used_; }

 private:
  static constexpr std::ptrdiff_t alignment = 256;
  unsigned char* base_;
  std::ptrdiff_t used_ = 0;
};

}  // namespace pybert_crf::cuda
