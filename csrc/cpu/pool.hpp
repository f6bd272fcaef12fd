// Threads that wait for work between calls. Compiled once, for the baseline.
#pragma once

namespace pybert_crf::cpu {

// Calls work(context) here and, at the same time, on up to `threads` - 1 other threads; returns when all
// calls have returned, and throws what one of them threw. The work must be such that fewer calls can do all
// of it: the system may have no more threads to give, or another call may have them.
//
// The threads outlive the call, for a millisecond's work is done before a new thread has started. A forked
// child has none of them and makes its own.
void run_on_threads(int threads, void (*work)(void* context), void* context);

}  // namespace pybert_crf::cpu
