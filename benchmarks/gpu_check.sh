#!/usr/bin/env bash
# Checks the package on this machine's GPU, offline, in under 8 minutes: builds it for that GPU alone, or takes a
# wheel; runs the CRF's tests (streams, CUDA graphs and two processes with DistributedDataParallel among them), some
# of them under compute-sanitizer; and the benchmarks (the CRF, training steps with and without it, tagging, ModernBERT
# with and without padding); prints a table and writes one JSON file. A step that fails does not stop the others; the
# exit code is 0 only if all have passed.
#
#   benchmarks/gpu_check.sh [--dry-run] [--wheel FILE] [--wheels DIR] [RESULTS]
#
# --wheel    a wheel of the package, whose kernels are then checked: nothing is built
# --dry-run  every step on the CPU and tiny, with the package as it is installed and without the sanitizer
# --wheels   a folder of wheels for what the machine lacks (pytorch-crf ...), for this run only
# RESULTS    the folder for the JSON file (benchmarks/results); benchmarks/README.md says what is needed
set -uo pipefail

dry='' wheel='' wheels='' results=''
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=yes ;;
    --wheel) wheel=$(realpath -e "${2:?--wheel needs a file}") || exit 2; shift ;;
    --wheels) wheels=$(cd "${2:?--wheels needs a folder}" && pwd) || exit 2; shift ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) results=$1 ;;
  esac
  shift
done
here=$(cd "$(dirname "$0")" && pwd)
repo=$(dirname "$here")
results=${results:-$here/results}
mkdir -p "$results" && results=$(cd "$results" && pwd) || exit 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work"/{log,steps,junit,site,source}
python=${PYTHON:-python3} device=cuda jobs=8
[ "$dry" ] && device=cpu jobs=2
[ -d /usr/local/cuda/bin ] && PATH=$PATH:/usr/local/cuda/bin

# The package that is built here comes first; the source tree, which has no extension, is never imported.
export PYTHONPATH="$work/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
export PYBERT_CRF_TEST_DEVICE=$device
export dry wheel wheels repo work python device jobs

# step NAME SECONDS FUNCTION ARGUMENTS: run it with that limit, its output in log/NAME, its outcome in steps/NAME.
step() {
  local name=$1 limit=$2 begun=$EPOCHREALTIME code
  shift 2
  [ "$dry" ] && limit=$((4 * limit))  # the CPU may be a busy one
  echo "== $name (at most $limit s)"
  (cd "$work" && timeout -k 5 "$limit" bash -uo pipefail -c '"$@"' - "$@") > "$work/log/$name" 2>&1
  code=$?
  echo "$code $limit $begun $EPOCHREALTIME" > "$work/steps/$name"
  [ $code -eq 0 ] && return
  echo "== $name failed with $code; its last lines:"
  tail -n 30 "$work/log/$name"
}

# The imports of tests and benchmarks; missing ones are taken from the folder of wheels.
packages() {
  local package failed=0 needed='pytest pytest-benchmark hypothesis safetensors tokenizers pytorch-crf'
  [ "$dry$wheel" ] || needed+=' scikit-build-core pybind11'  # nothing else is built
  for package in $needed; do
    "$python" -c "import importlib.metadata as m; m.version('$package')" 2> /dev/null && continue
    [ "$wheels" ] && "$python" -m pip install --quiet --no-index --no-deps --find-links "$wheels" \
      --target "$work/site" "$package" && echo "$package: from the wheels" && continue
    echo "$package: not here"
    [ "$package" = pytorch-crf ] || failed=1
  done
  return $failed
}

build() {
  if [ "$wheel" ]; then
    "$python" -m pip install --no-index --no-deps --target "$work/site" "$wheel" || return
  elif [ ! "$dry" ]; then
    local capability
    capability=$("$python" -c "import torch; print('%d%d' % torch.cuda.get_device_capability())") || return
    export SKBUILD_CMAKE_DEFINE="PYBERT_CRF_CUDA=ON;PYBERT_CRF_CUDA_ARCHITECTURES=$capability-real"
    SKBUILD_CMAKE_DEFINE+=";CMAKE_CUDA_ARCHITECTURES=$capability-real"
    export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
    # From a copy, so that nothing is written into the source tree.
    tar -c -C "$repo" --exclude='./.*' --exclude=./build --exclude=./shared . | tar -x -C "$work/source"
    "$python" -m pip install -v --no-index --no-build-isolation --no-deps --target "$work/site" \
      "$work/source" || return
  fi
  # A build that fails installs the package without its extension: here that is an error.
  "$python" -c "
import pybert_crf
print(pybert_crf.__file__, status := pybert_crf.backends('$device')['native'])
if not status.usable or not ('$dry' or pybert_crf.__file__.startswith('$work/site')):
    raise SystemExit('not usable, or hidden by an editable installation, which must be uninstalled first')"
}

# run_tests NAME PREFIX... -- ARGUMENTS OF PYTEST. Warnings come from this machine's packages and are no errors.
run_tests() {
  local name=$1 prefix=()
  shift
  while [ "$1" != -- ]; do prefix+=("$1"); shift; done
  shift
  "${prefix[@]}" "$python" -m pytest -q --tb=short -p no:cacheprovider -c "$repo/pyproject.toml" \
    -o filterwarnings=default --junitxml "$work/junit/$name.xml" "$@"
}

# A process for each file: they share the GPU.
one_file() { run_tests "tests.$(basename "$1" .py)" -- "$1"; }
suite() {
  local files
  mapfile -t files < <(find "$repo/tests/crf" -name "test_*.py" | sort)
  [ "$dry" ] && files=("$repo"/tests/crf/test_{constraints,workers}.py)
  printf '%s\0' "${files[@]}" | xargs -0 -P "$jobs" -I {} bash -uc 'one_file "$1"' - {}
}

# The tests marked `reduced`, without those of the reference backend, which has no kernels of its own.
reduced() {
  local tool=$1 prefix=() files=()
  [ "$dry" ] || prefix=(compute-sanitizer --error-exitcode 1 --tool "$tool")
  mapfile -t files < <(grep -rl --include="test_*.py" 'mark\.reduced' "$repo/tests/crf" | sort)
  [ "$dry" ] && files=("$repo"/tests/crf/library/test_ops.py)
  # Torch's own allocator hands out parts of larger blocks, in which overruns are not seen.
  [ "$tool" = memcheck ] && export PYTORCH_NO_CUDA_MEMORY_CACHING=1
  run_tests "$tool" "${prefix[@]}" -- -m reduced -k 'not reference' "${files[@]}"
}

benchmark() {
  local options=(--device "$device" --benchmark-json "$work/benchmark.json")
  if [ "$dry" ]; then
    options+=(--quick --benchmark-max-time 0.001 -k 'step or tagging or packing or loss_backward and native')
  else
    options+=(--limit 85)
  fi
  run_tests benchmark -- "$repo"/benchmarks/bench_{gpu,packing,crf}.py "${options[@]}"
}
export -f packages build run_tests one_file suite reduced benchmark

step packages 30 packages
step build 180 build
step tests 155 suite &
step memcheck 155 reduced memcheck &
step racecheck 155 reduced racecheck &
wait
step benchmark 112 benchmark  # alone on the GPU

"$python" "$here/gpu_check.py" "$work" "$results" ${dry:+--dry-run}
