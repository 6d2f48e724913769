#!/usr/bin/env bash
# Run a command with a Docker engine: start one before, and end it afterwards.
#   run.sh FOLDER PYTHON COMMAND...
# The command finds the engine by DOCKER_HOST, or in NBDEPLOY_NO_ENGINE why there is none; that alone
# is no failure, but nobody shall overlook it.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1 python=$2
shift 2

say() {
  printf '\n%s\n' "================================ NO DOCKER ENGINE ================================"
  printf '%s\n' "$NBDEPLOY_NO_ENGINE" "The tests that need one were SKIPPED: no container was built or run."
  printf '%s\n\n' "=================================================================================="
} >&2

if mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ]; then
  exec 9>"$folder/lock"
  # The first of two that ends would end the engine of the other.
  flock --nonblock 9 || { echo "Another run uses the engine in $folder: wait for its end." >&2; exit 1; }
fi
trap '"$here/stop.sh" "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
told=$(timeout --kill-after=10 180 "$here/start.sh" "$folder" "$python" 9>&-)
case $? in
  0) export DOCKER_HOST=$told ;;
  3) export NBDEPLOY_NO_ENGINE=$told ;;
  124 | 137) export NBDEPLOY_NO_ENGINE="It did not start within 180 seconds." ;;
  *) echo "The engine was started, and its image of Python could not be made." >&2; exit 1 ;;
esac
[ -z "${NBDEPLOY_NO_ENGINE:-}" ] || say
"$@" 9>&-
code=$?
[ -z "${NBDEPLOY_NO_ENGINE:-}" ] || say
exit "$code"
