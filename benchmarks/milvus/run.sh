#!/usr/bin/env bash
# Runs the stores' tests against a real Milvus and measures it behind the store's interface.
#
#   benchmarks/milvus/run.sh --out DIR [--store URL] [--documents N] [--index-kind KIND]
#
#   --out DIR          where the logs and the report go
#   --store URL        a Milvus that is there, milvus://host:19530, empty of collections whose names
#                      begin with twopass_; unset: one of its own, by docker compose, removed after
#   --documents N      how many to index; unset: 1,000,000
#   --index-kind KIND  what they are searched by; unset: AUTOINDEX
#
# Needs twopass with the extras milvus and dev, and without --store docker with compose.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out= store= documents=1000000 index_kind=AUTOINDEX
while (($#)); do
  case $1 in
    --out) out=$2; shift 2 ;;
    --store) store=$2; shift 2 ;;
    --documents) documents=$2; shift 2 ;;
    --index-kind) index_kind=$2; shift 2 ;;
    *) echo "run.sh: unknown argument $1; see the head of this file" >&2; exit 2 ;;
  esac
done
[[ $out ]] || { echo "run.sh: --out DIR is missing; see the head of this file" >&2; exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
python=${PYTHON:-python3}

if [[ ! $store ]]; then
  compose=(docker compose --project-name twopass-ledger --file "$here/docker-compose.yml")
  trap '"${compose[@]}" logs milvus >"$out/milvus.log" 2>&1; "${compose[@]}" down --volumes' EXIT
  "${compose[@]}" up --detach --wait
  store=milvus://127.0.0.1:${MILVUS_PORT:-19530}
fi

status=0
(cd "$root" && "$python" -m pytest -q tests/stores -k milvus --milvus "$store") 2>&1 \
  | tee "$out/tests.log" || status=$?
((status == 0)) || echo "run.sh: tests failed with status $status; measuring all the same"

"$python" -m twopass.benchmarks.milvus.measure --store "$store" --out "$out" \
  --documents "$documents" --index-kind "$index_kind" || status=$?
exit "$status"
