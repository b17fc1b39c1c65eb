#!/usr/bin/env bash
# Installs twopass beside what a GPU machine has, runs the tests that need the GPU, measures within a
# time, and writes report.md and report.json, which end with what was wanted and what was shown.
# Needs no network: what the machine lacks comes as wheels in a folder.
#
#   benchmarks/gpu/run.sh --out DIR [--minutes 9] [--wheels DIR] [--models DIR] [--commit ID]
#                         [--only NAME]... [--installed] [--dry-run] [--plan]
#
#   --out DIR      where the environment, the logs and the report go
#   --minutes N    how long all of it may take, the install too: checks that do not fit are left out,
#                  those of least worth first; unset: as long as they take
#   --wheels DIR   wheels and sdists of what the machine lacks; unset: the package index
#   --models DIR   folders of the default models; unset: those in the tree
#   --commit ID    of the tree, where it has no git
#   --only NAME    only checks whose names begin so; may be given again
#   --installed    install nothing: run by $PYTHON, or python3, as it is
#   --dry-run      a taste of every check on the CPU; no figure means anything
#   --plan         tell the checks in order of worth with their times, and measure nothing
#
# Ends with 0 where the tests passed, with 1 where one failed; figures are there either way. A run
# that is stopped leaves what it had.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
out= wheels= models_from= minutes= installed= dry_run= plan= arguments=()
usage() {
  echo "run.sh: $1; see the head of this file" >&2
  exit 2
}
while (($#)); do
  case $1 in
    --installed) installed=1; shift; continue ;;
    --dry-run) dry_run=1 arguments+=("$1"); shift; continue ;;
    --plan) plan=1 arguments+=("$1"); shift; continue ;;
  esac
  (($# > 1)) || usage "$1 wants a value, or is unknown"
  case $1 in
    --out) out=$2 ;;
    --minutes) minutes=$2 ;;
    --wheels) wheels=$(cd "$2" && pwd) ;;
    --models) models_from=$(cd "$2" && pwd) ;;
    --commit | --only) arguments+=("$1" "$2") ;;
    *) usage "unknown argument $1" ;;
  esac
  shift 2
done
[[ $out ]] || usage "--out DIR is missing"
mkdir -p "$out"
out=$(cd "$out" && pwd)
log=$out/install.log
step() { printf '%5d s  %s\n' "$SECONDS" "$*"; }

python=$(command -v "${PYTHON:-python3}") || usage "${PYTHON:-python3} is not there"
[[ $python == /* ]] || python=$PWD/$python # not resolved: it may be a link of an environment
pip() { "$python" -m pip --disable-pip-version-check --no-input -q "$@" >>"$log" 2>&1; }
has() { "$python" -c "import $1" 2>/dev/null; }

# A wish that can't be met is a line here and words in the log; what then can't run says so itself.
wish() {
  local what=$1
  shift
  if "$@"; then step "installed: $what"; else step "NOT installed: $what (see $log)"; fi
}

# Wheels of the folder by how their names begin, not those that begin with another name given.
found() { (shopt -s nullglob nocaseglob && cd "$wheels" && printf '%s\n' $1) | sed "s|^|$wheels/|;/\/$/d"; }

# Of faiss there is one package at a time, and one for GPUs that lacks its libraries takes the server
# with it: it stands in a folder of its own, which one check sees.
apart='faiss_gpu*.whl nvidia_*cu12*.whl libcuvs*.whl libraft*.whl librmm*.whl rapids_logger*.whl'
# That with graphs has CUDA 13's libraries, whose names tell no version.
if [[ $wheels && $(found 'faiss_gpu_cuvs*.whl') ]]; then
  apart+=' nvidia_cublas-*.whl nvidia_curand-*.whl nvidia_nvjitlink-*.whl nvidia_cuda_runtime-*.whl'
fi

all_wheels() {
  local files
  mapfile -t files < <(comm -23 <(found '*.whl' | sort) <(found "$apart twopass*.whl" | sort -u))
  ((${#files[@]})) || return 0
  pip install --no-index --no-deps --no-compile "${files[@]}" && return 0
  for file in "${files[@]}"; do # one that is not for this Python stops all of them
    pip install --no-index --no-deps --no-compile "$file" || step "NOT installed: ${file##*/}"
  done
}

faiss_apart() {
  local files into=(--upgrade --target "$out/faiss-gpu")
  if [[ $wheels ]]; then
    mapfile -t files < <(found "$apart")
    ((${#files[@]})) || return 1
    pip install --no-index --no-deps --no-compile "${into[@]}" "${files[@]}"
    return
  fi
  # With graphs, where the driver is new enough and it loads.
  if [[ $(nvidia-smi 2>/dev/null) == *'CUDA Version: 1'[3-9]* ]]; then
    pip install "${into[@]}" faiss-gpu-cuvs \
      && PYTHONPATH=$out/faiss-gpu "$python" -c 'import faiss; assert faiss.get_num_gpus()' >>"$log" 2>&1 \
      && return
    rm -rf "$out/faiss-gpu"
  fi
  pip install "${into[@]}" faiss-gpu
}

# from_tree NAME FOLDER: a distribution of ours, from the folder of wheels where that has it. Also
# where one of its version is there already: it is this tree that is measured.
from_tree() {
  if [[ $wheels ]]; then
    local wheel
    wheel=$(found "$1-*.whl" | tail -1)
    pip install --force-reinstall --no-index --no-deps --no-build-isolation "${wheel:-$2}"
  else
    pip install --force-reinstall --no-deps "$2" && pip install "$2"
  fi
}

# The models need no building: where the tool that packs them is missing, or others are given, they
# are copied.
models() {
  local into
  into=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/twopass/models
  if [[ $models_from ]]; then
    mkdir -p "$into" && cp "$root/models/__init__.py" "$into" && cp -r "$models_from/." "$into"
  else
    from_tree twopass_models "$root/models" \
      && from_tree twopass_models_l6 "$root/models/twopass-minilm-l6" && return 0
    mkdir -p "$into" && cp -r "$root/models/." "$into"
  fi
}

install() {
  # The machine's own PyTorch, CUDA and compilers are used as they are, also where its Python is a
  # virtual environment.
  [[ -x $out/venv/bin/python ]] || "$python" "$root/benchmarks/gpu/environment.py" "$out/venv" >/dev/null
  python=$out/venv/bin/python
  export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
  step "environment: $out/venv"
  [[ -z $wheels ]] || wish "the wheels of $wheels" all_wheels
  if [[ -z $dry_run ]]; then
    # Its source takes minutes to compile: meanwhile the core is built, and what needs none measured.
    local pycuda=(pycuda)
    [[ -z $wheels ]] || mapfile -t pycuda < <(found 'pycuda*.tar.gz')
    if ((${#pycuda[@]})) && ! has pycuda; then
      (
        index=(--no-index --no-deps)
        [[ $wheels ]] || index=()
        pip wheel "${index[@]}" --no-build-isolation -w "$out/built" "${pycuda[@]}" \
          && pip install --no-index --no-deps "$out"/built/pycuda*.whl
      ) </dev/null >/dev/null 2>&1 &
    fi
  fi
  wish "twopass-client" from_tree twopass_client "$root/client"
  wish "twopass-models" models
  wish "twopass" from_tree twopass "$root"
  has twopass.server.local || {
    echo "run.sh: twopass does not run here: $("$python" -c 'import twopass.server.local' 2>&1 | tail -1)" >&2
    "$python" "$root/benchmarks/gpu/lacking.py" "$root" >&2
    exit 1
  }
  [[ $wheels ]] || wish "what tests need" pip install pytest hypothesis pytest-asyncio
  if [[ -z $dry_run ]]; then
    if [[ -z $wheels ]]; then
      has cuda.bindings || wish "cuda-bindings" pip install cuda-bindings
      # Its bindings and libraries do without the package that joins them, whose source may be missing.
      has tensorrt || has tensorrt_rtx || has tensorrt_rtx_bindings \
        || wish "TensorRT-RTX" pip install tensorrt-rtx-cu13-bindings tensorrt-rtx-cu13-libs
    fi
    wish "faiss-gpu, apart" faiss_apart
  fi
  step "lacking: $("$python" "$root/benchmarks/gpu/lacking.py" "$root")"
}

if [[ $installed || $plan ]]; then
  [[ -z $models_from ]] || arguments+=(--models "$models_from")
else
  install
fi
if [[ -d $out/faiss-gpu ]]; then arguments+=(--faiss-gpu "$out/faiss-gpu"); fi
if [[ $minutes ]]; then
  arguments+=(--minutes "$("$python" -c "print(max(0.1, $minutes - $SECONDS / 60))")")
fi

# Nothing is left in the user's home, and a second run finds what the first one compiled.
export XDG_CACHE_HOME=$out/cache TRITON_CACHE_DIR=$out/cache/triton
export TORCHINDUCTOR_CACHE_DIR=$out/cache/inductor PYTHONUNBUFFERED=1
cd "$out"
exec "$python" -m twopass.benchmarks.gpu.ledger --out "$out" --root "$root" "${arguments[@]}"
