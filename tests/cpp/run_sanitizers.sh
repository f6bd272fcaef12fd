#!/bin/sh
# Builds the C++ tests twice, with warnings as errors, and runs them: all under the address and
# undefined-behaviour sanitizers, and those of threads under the thread sanitizer. Instruction sets that this
# processor lacks are left out; threads share out the work in one way for all sets, so one set shows their races.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
all=baseline for_threads=baseline
for set in avx2:avx2 avx512:avx512bw; do
  if grep -qw "${set#*:}" /proc/cpuinfo; then all="$all;${set%:*}"; fi
done
if grep -qw avx2 /proc/cpuinfo; then for_threads=avx2; fi

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
check address,undefined all . -DPYBERT_CRF_LOCKSTEP=ON -DPYBERT_CRF_INSTRUCTION_SETS="$all"
check thread test_threads threads -DPYBERT_CRF_LOCKSTEP=OFF -DPYBERT_CRF_INSTRUCTION_SETS=$for_threads
