// Memory to work in. Compiled once, for the baseline.
#pragma once

#include <cstddef>

namespace pybert_crf::cpu {

// Uninitialised, at a multiple of 64 bytes. Throws std::bad_alloc. A thread keeps some megabytes of what it
// has released, for its next call.
void* allocate(std::size_t bytes);
void release(void* memory) noexcept;

}  // namespace pybert_crf::cpu
