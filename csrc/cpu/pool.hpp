// Threads that wait for work between calls. Compiled once, for the baseline.
#pragma once

namespace pybert_crf::cpu {

// Calls work(context) here and, at the same time, on up to `threads` - 1 other threads; returns when all
// calls have returned, and rethrows an exception of one of them. Fewer calls must be able to do all the work:
// the system may give no more threads, or another call may have them.
//
// The threads outlive the call, as starting one takes longer than the work of many calls. A forked child has
// none of them and starts its own.
void run_on_threads(int threads, void (*work)(void* context), void* context);

}  // namespace pybert_crf::cpu
