# Runs the files named on standard input in one shell, one after another. `twopass serve` goes on beside the blocks that follow
# once it serves, as in a reader's other terminal; the next one takes its place.
set -euo pipefail
exec 3>&1
trap 'echo "exit status $?" >&3' EXIT

twopass() {
  case " $* " in
    *" --help "* | *" -h "* | *" --show-config "*) command twopass "$@" ;;
    " serve "*) serve "$@" ;;
    *) command twopass "$@" ;;
  esac
}

serve() {
  if [ -n "${SERVER:-}" ]; then
    kill "$SERVER" 2> /dev/null && wait "$SERVER" || true
  fi
  # The log of the last one is what a failing block is told with; that of the one before must not be taken for its.
  : > "$SERVER_LOG"
  command twopass "$@" > "$SERVER_LOG" 2>&1 3>&- &
  SERVER=$!
  until grep -q '\bserving\b' "$SERVER_LOG"; do
    if ! kill -0 "$SERVER" 2> /dev/null; then
      cat "$SERVER_LOG"
      return 1
    fi
    sleep 0.2
  done
}

while IFS= read -r block; do
  source "$block" > "$block.out" 2>&1 < /dev/null
  echo done >&3
done
trap - EXIT
