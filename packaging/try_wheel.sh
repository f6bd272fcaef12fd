#!/usr/bin/env bash
# try_wheel.sh WHEEL [ARGUMENTS OF PYTEST...]: installs a wheel where there is no compiler, beside the packages of the
# environment that this runs in (torch, pytest ...), and runs the CRF's tests and the demo on it. Without arguments the
# tests are those marked `reduced`; `try_wheel.sh WHEEL tests/crf` runs all.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
wheel=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
work=$(mktemp -d)
path=$PATH
trap 'PATH=$path rm -rf "$work"' EXIT

python -m pip install --quiet --no-deps --no-index --target "$work/site" "$wheel"
# A PATH with this environment's Python and nothing else.
mkdir "$work/bin"
interpreter=$(command -v python)
printf '#!/bin/sh\nexec "%s" "$@"\n' "$interpreter" > "$work/bin/python"
chmod +x "$work/bin/python"
export PATH="$work/bin" PYTHONPATH="$work/site" PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
unset CC CXX CUDACXX
for compiler in cc c++ gcc g++ clang clang++ nvcc cl; do
  if command -v "$compiler"; then echo "there is a compiler"; exit 1; fi
done
echo "no compiler on PATH: cc, c++, gcc, g++, clang, clang++, nvcc and cl are not found"

cd "$work"
python - <<'CODE'
import os

import pybert_crf

assert pybert_crf.__file__.startswith(os.environ["PYTHONPATH"]), pybert_crf.__file__
assert pybert_crf.backends()["native"].usable, pybert_crf.backends()["native"].reason
print("the wheel's package, with its extension:", pybert_crf.__version__)
CODE
python -m pybert_crf info
if [ $# -eq 0 ]; then
  set -- -n 2 -m reduced "$root/tests/crf"
else
  set -- "${@/#tests/$root/tests}"
fi
python -m pytest -q -c "$root/pyproject.toml" --rootdir "$root" -p no:cacheprovider "$@"
python -m pybert_crf demo
