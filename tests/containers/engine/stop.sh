#!/usr/bin/env bash
# End the engine that start.sh started, and only that one.
#   stop.sh FOLDER
set -euo pipefail
pid=$(cat "$1/pid" 2>/dev/null) || exit 0
kill "$pid" 2>/dev/null || exit 0
for _ in $(seq 100); do
  kill -0 "$pid" 2>/dev/null || exit 0
  sleep 0.2
done
