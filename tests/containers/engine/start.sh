#!/usr/bin/env bash
# Start a Docker engine that is nobody else's, with the stand-in for the image of Python in it.
#   start.sh FOLDER PYTHON     (root; `apt-get install docker.io mmdebstrap` gives what it needs)
# Says what is missing and exits with 3 where no engine can start; prints DOCKER_HOST otherwise.
set -euo pipefail
folder=$1
python=$2
here=$(cd "$(dirname "$0")" && pwd)
for tool in dockerd docker mmdebstrap; do
  command -v "$tool" >/dev/null || { echo "no $tool here" >&2; exit 3; }
done
mkdir -p "$folder"
folder=$(realpath "$folder")
export DOCKER_HOST=unix://$folder/docker.sock
if ! docker version >/dev/null 2>&1; then
  # A session of its own: the signal that interrupts the tests is not for the engine.
  setsid dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" \
    --pidfile "$folder/pid" --storage-driver overlay2 >"$folder/log" 2>&1 </dev/null &
  for _ in $(seq 100); do
    docker version >/dev/null 2>&1 && break
    sleep 0.2
  done
fi
docker version >/dev/null 2>&1 || { tail -3 "$folder/log" >&2; exit 3; }
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
docker image inspect "python:$minor-slim" >/dev/null 2>&1 ||
  "$here/base_image.sh" "$folder/base" "$python" >&2
echo "$DOCKER_HOST"
