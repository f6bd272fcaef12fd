#!/bin/sh
# Builds the C++ tests twice, with warnings as errors, and runs them: all under the address and
# undefined-behaviour sanitizers, and those of threads under the thread sanitizer.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

# check SANITIZERS TARGET TESTS OPTIONS...
check() {
  sanitizers=$1 target=$2 tests=$3 build="$root/build/sanitizers-$1"
  shift 3
  cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=None -DPYBERT_CRF_MODULE=OFF -DPYBERT_CRF_TESTS=ON \
    -DPYBERT_CRF_WERROR=ON "$@" \
    -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=$sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer -DPYBERT_CRF_SANITIZED" >/dev/null
  cmake --build "$build" --target "$target" --parallel 2
  (cd "$build" && ctest --output-on-failure --parallel 2 -R "$tests")
}
check address,undefined all . -DPYBERT_CRF_LOCKSTEP=ON
check thread test_threads threads -DPYBERT_CRF_LOCKSTEP=OFF
