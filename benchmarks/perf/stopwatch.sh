#!/usr/bin/env bash
# From a clone with an empty cache to the first number, the table and the dashboard, in seconds:
#   benchmarks/perf/stopwatch.sh demo|bench [FOLDER]
# Prints a line of docs/stopwatch.md. The machine should do nothing else meanwhile.
set -euo pipefail
what=${1:-demo}
work=${2:-$(mktemp -d)}
here=$(cd "$(dirname "$0")/../.." && pwd)
began=$(date +%s)
since() { echo $(($(date +%s) - began)); }

git clone --quiet "$here" "$work/suite"
cd "$work/suite"
export INVERSION_BENCH_CACHE=$work/cache
make .venv/.installed >"$work/install.txt" 2>&1
installed=$(since)
make "$what" >"$work/out.txt" 2>"$work/err.txt" &
run=$!
first= dashboard=
while kill -0 $run 2>/dev/null; do
  sleep 1
  if [ -z "$first" ] && grep -q ', first [0-9]* images: ' "$work/err.txt"; then first=$(since); fi
  if [ -z "$dashboard" ] && compgen -G 'runs/*/report/index.html' >/dev/null; then dashboard=$(since); fi
done
wait $run
table=$(since)
echo "| \`make $what\` | $(nproc) cores | $installed | ${first:-$table} | $table | ${dashboard:-$table} |"
echo "outputs: $work/out.txt $work/err.txt" >&2
