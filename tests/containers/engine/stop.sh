#!/usr/bin/env bash
# End the engine that start.sh started, and only that one.
#   stop.sh FOLDER
set -euo pipefail
folder=$(realpath "$1")

# The numbers may be somebody else's by now.
ours() {
  pid=$(cat "$1" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$folder/"
}

if ours "$folder/pid"; then
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 150); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  # It is the leader of its session, and what it started is in it.
  kill -KILL -- "-$pid" 2>/dev/null || true
fi
# Of one that was killed, and that would be waited for in vain.
if ours "$folder/exec/containerd/containerd.pid"; then kill -KILL "$pid" 2>/dev/null || true; fi
rm -f "$folder/pid" "$folder/exec/containerd/containerd.pid"
