#!/bin/sh
# Builds libFuzzer's target with clang, under the address and undefined-behaviour sanitizers, and lets it run from
# the kept inputs: tests/cpp/fuzz/run.sh [SECONDS, 60 if not given] [OPTIONS OF LIBFUZZER...]. What it meets on the
# way stays in build/fuzz/found, and the input of a failure in build/fuzz: run.sh 0 crash-... runs that again.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
seconds=${1:-60}
[ $# -eq 0 ] || shift
build="$root/build/fuzz"
mkdir -p "$build/found"

# Debian's package "clang" comes without the library of the fuzzer, which is in libclang-rt-14-dev or its like.
echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' > "$build/probe.cpp"
if ! clang++ -fsanitize=fuzzer,address "$build/probe.cpp" -o "$build/probe" 2> /dev/null; then
  echo "skipped: no clang++ with libFuzzer here (apt-get install clang)"
  exit 0
fi
sets=baseline
for set in avx2:avx2 avx512:avx512bw; do
  if grep -qw "${set#*:}" /proc/cpuinfo; then sets="$sets;${set%:*}"; fi
done
# What clang takes twice as long to compile with, the sanitizers' tests check (run_sanitizers.sh): each access for
# null, alignment and overflow of the pointer.
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_COMPILER=clang++ -DPYBERT_CRF_MODULE=OFF \
  -DPYBERT_CRF_TESTS=ON -DPYBERT_CRF_FUZZER=ON -DPYBERT_CRF_WERROR=ON -DPYBERT_CRF_INSTRUCTION_SETS="$sets" \
  -DCMAKE_CXX_FLAGS="-O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=null,alignment,object-size,vptr,pointer-overflow -fno-sanitize-recover=all -fno-omit-frame-pointer -DPYBERT_CRF_SANITIZED" > /dev/null
cmake --build "$build" --target fuzz_operations --parallel 2
cd "$build"
export ASAN_OPTIONS=quarantine_size_mb=32
if [ "$seconds" = 0 ]; then exec tests/cpp/fuzz_operations "$@"; fi
exec tests/cpp/fuzz_operations -max_total_time="$seconds" -max_len=400 -timeout=30 -print_final_stats=1 "$@" \
  found "$root/tests/cpp/fuzz/kept"
