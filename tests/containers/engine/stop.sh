#!/usr/bin/env bash
# End the engine that start.sh started, and only that one.
#   stop.sh FOLDER
set -euo pipefail
pid=$(cat "$1/pid" 2>/dev/null) || exit 0
# The number may be somebody else's by now.
tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "^dockerd .*$(realpath "$1")/" || exit 0
kill "$pid" 2>/dev/null || exit 0
for _ in $(seq 150); do
  kill -0 "$pid" 2>/dev/null || exit 0
  sleep 0.2
done
# It is the leader of its session, and what it started is in it.
kill -KILL -- "-$pid" 2>/dev/null || true
