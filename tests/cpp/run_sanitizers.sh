#!/bin/sh
# Builds the C++ tests twice, with warnings as errors, and runs them: all under the address and
# undefined-behaviour sanitizers, and those of threads under the thread sanitizer. About four minutes on two cores.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
for sanitizers in address,undefined thread; do
  case $sanitizers in thread) tests=threads ;; *) tests=. ;; esac
  build="$root/build/sanitizers-$sanitizers"
  cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=None -DPYBERT_CRF_MODULE=OFF -DPYBERT_CRF_TESTS=ON -DPYBERT_CRF_LOCKSTEP=ON \
    -DPYBERT_CRF_WERROR=ON \
    -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=$sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer -DPYBERT_CRF_SANITIZED" >/dev/null
  cmake --build "$build" --parallel 2
  (cd "$build" && ctest --output-on-failure -R "$tests")
done
