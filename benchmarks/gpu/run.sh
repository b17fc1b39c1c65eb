#!/usr/bin/env bash
# Installs twopass beside what a GPU machine has, runs every test that needs the GPU, measures, and
# writes report.md and report.json. Needs no network: what is missing comes as wheels in a folder.
#
#   benchmarks/gpu/run.sh --out DIR [--wheels DIR] [--models DIR] [--dry-run]
#
#   --out DIR     where the environment, the logs and the report go
#   --wheels DIR  wheels and sdists of what the machine lacks; unset: the package index
#   --models DIR  folders of the default models; unset: those in the tree
#   --dry-run     a taste of every check on the CPU; no figure means anything
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out= wheels= models= dry_run=
while (($#)); do
  case $1 in
    --out) out=$2; shift 2 ;;
    --wheels) wheels=$(cd "$2" && pwd); shift 2 ;;
    --models) models=$(cd "$2" && pwd); shift 2 ;;
    --dry-run) dry_run=1; shift ;;
    *) echo "run.sh: unknown argument $1; see the head of this file" >&2; exit 2 ;;
  esac
done
[[ $out ]] || { echo "run.sh: --out DIR is missing; see the head of this file" >&2; exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)

# The machine's own PyTorch, CUDA and compilers are used as they are, also where its Python is a
# virtual environment.
python=$out/venv/bin/python
[[ -x $python ]] || "${PYTHON:-python3}" "$root/benchmarks/gpu/environment.py" "$out/venv" >/dev/null
index=()
[[ $wheels ]] && index=(--no-index --find-links "$wheels")
pip() { "$python" -m pip --disable-pip-version-check -q "$@"; }

# A wish that can't be met is a line in the log; what then can't run says so in the report.
wish() {
  pip install "${index[@]}" "$@" >>"$out/install.log" 2>&1 \
    && echo "installed: $*" || echo "not installed: $* (see $out/install.log)"
}

has() {
  "$python" -c "import $1" 2>/dev/null
}

# Without a network the tools that build are the machine's own.
isolation=()
[[ $wheels ]] && isolation=(--no-build-isolation)
pip install "${isolation[@]}" "${index[@]}" "$root/models" "$root/client"
pip install "${isolation[@]}" "${index[@]}" "$root"
wish pytest hypothesis pytest-asyncio
if [[ ! $dry_run ]]; then
  wish --no-build-isolation pycuda
  wish cuda-bindings
  has tensorrt || has tensorrt_rtx || wish tensorrt-rtx-cu13
  # Its bindings and libraries do without the package that joins them, whose source may be missing.
  has tensorrt || has tensorrt_rtx || has tensorrt_rtx_bindings \
    || wish tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs
  wish faiss-gpu
fi

cd "$out"
export XDG_CACHE_HOME=$out/cache
status=0
"$python" -m pytest -q -m gpu -p no:cacheprovider -c "$root/pyproject.toml" --rootdir "$root" \
  "$root/tests/gpu" "$root/tests/unit/index/test_gpu_replica.py" 2>&1 | tee "$out/tests.log" || status=$?
# 5 is pytest's word for "no test was chosen".
((status == 0 || status == 5)) || echo "run.sh: tests failed with status $status; measuring all the same"

"$python" -m twopass.benchmarks.gpu.ledger --out "$out" \
  ${models:+--models "$models"} ${dry_run:+--dry-run}
exit "$status"
