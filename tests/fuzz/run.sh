#!/usr/bin/env bash
# run.sh [SECONDS [FOLDER]]: fuzz every target for SECONDS (60), two at a time, beginning with the kept inputs.
# What is found on the way is left in FOLDER, from which another run goes on; an input that is treated wrongly
# is written there too and named, and makes the exit status 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export seconds=${1:-60} folder=${2:-$(mktemp -d)} here
[ ! -d /dev/shm ] || TMPDIR=$(mktemp -d -p /dev/shm)  # thousands of small files a second
export TMPDIR=${TMPDIR:-$(mktemp -d)}
trap 'rm -rf "$TMPDIR"' EXIT
python -c "import atheris" 2> /dev/null || { echo "no atheris here (Python 3.11 to 3.13): pip install -c constraints.txt '.[fuzz]'"; exit 1; }

fuzz() {
  mkdir -p "$folder/$1"
  if python "$here/fuzz.py" "$1" "$folder/$1" "$here/kept/$1" -max_total_time="$seconds" -max_len=20000 \
    -timeout=60 -rss_limit_mb=3000 -print_final_stats=1 -artifact_prefix="$folder/$1-" > "$folder/$1.log" 2>&1; then
    echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$folder/$1.log") inputs in $seconds s, no fault"
  else
    tail -n 40 "$folder/$1.log"
    echo "$1: a fault: $(sed -n 's/.*Test unit written to //p' "$folder/$1.log" | tail -n 1)"
    return 1
  fi
}
export -f fuzz
python "$here/fuzz.py" --targets | xargs -P 2 -I TARGET bash -c 'fuzz TARGET'
