#!/usr/bin/env bash
# Start a Docker engine that is nobody else's, with the stand-in for the image of Python in it; one
# that DOCKER_HOST names and that answers is taken as it is.
#   start.sh FOLDER PYTHON     (root; `apt-get install docker.io mmdebstrap` gives what it needs)
# Prints DOCKER_HOST, or, with exit code 3, why no engine can be had on this machine.
set -euo pipefail
folder=$1
python=$2
here=$(cd "$(dirname "$0")" && pwd)

answers() { timeout 10 docker version >/dev/null 2>&1; }
none() { echo "$1"; exit 3; }

if [ -n "${DOCKER_HOST:-}" ]; then
  if command -v docker >/dev/null && answers; then echo "$DOCKER_HOST"; exit 0; fi
  echo "Nothing answers at DOCKER_HOST=$DOCKER_HOST: starting an engine instead" >&2
fi
[ "$(id -u)" = 0 ] || none "Only root starts an engine, and this is $(id -un)."
for tool in dockerd docker mmdebstrap; do
  command -v "$tool" >/dev/null || none "There is no $tool: apt-get install docker.io mmdebstrap."
done
mkdir -p "$folder" 2>/dev/null || none "The folder $folder cannot be made."
folder=$(realpath "$folder")
export DOCKER_HOST=unix://$folder/docker.sock
if ! answers; then
  # What a run that was killed left behind.
  "$here/stop.sh" "$folder"
  # A session of its own: the signal that interrupts the tests is not for the engine.
  setsid dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" \
    --pidfile "$folder/pid" --storage-driver overlay2 >"$folder/log" 2>&1 </dev/null &
  engine=$!
  end=$((SECONDS + 30))
  until answers; do
    kill -0 "$engine" 2>/dev/null || why="ended while it started"
    [ "$SECONDS" -lt "$end" ] || why="did not answer within 30 seconds"
    if [ -n "${why:-}" ]; then
      kill -KILL -- "-$engine" 2>/dev/null || true
      none "dockerd $why. $(tail -n 1 "$folder/log" | cut -c 1-400)"
    fi
    sleep 0.2
  done
fi
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
docker image inspect "python:$minor-slim" >/dev/null 2>&1 ||
  "$here/base_image.sh" "$folder/base" "$python"
echo "$DOCKER_HOST"
