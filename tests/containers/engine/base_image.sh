#!/usr/bin/env bash
# Build a stand-in for python:3.X-slim where no registry of images can be reached: a minimal Debian with
# the CPython that runs this script's caller. It is not the image of the hub, byte for byte: it
# shows that what nbdeploy writes builds and runs, and nothing about the size of the real one.
#   base_image.sh FOLDER PYTHON      (needs mmdebstrap and a Docker engine)
# Prints, with exit code 3, why this machine cannot run any image.
set -euo pipefail
none() { echo "$1"; exit 3; }
mkdir -p "$1"
folder=$(realpath "$1")
python=$2
prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
version=$("$python" -c 'import platform; print(platform.python_version())')
bundle=$("$python" -c 'import ssl; print(ssl.get_default_verify_paths().cafile or "")')
for candidate in "${PIP_CERT:-}" /etc/ssl/certs/ca-certificates.crt "$bundle"; do
  if [ -f "$candidate" ]; then authorities=$candidate; break; fi
done

context=$folder/context
rm -rf "$context"
mkdir -p "$context/root/usr/local/bin" "$context/root/usr/local/lib" "$context/root/etc/ssl/certs"

if [ ! -f "$folder/debian.tar" ]; then
  packages=ca-certificates,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8
  packages=$packages,libuuid1,libexpat1,libncursesw6,netbase,tzdata,passwd
  mmdebstrap --quiet --format=tar --variant=minbase --include=$packages bookworm "$folder/debian.tar.part" ||
    none "mmdebstrap could not make the files of a Debian."
  mv "$folder/debian.tar.part" "$folder/debian.tar"
fi
docker import "$folder/debian.tar" nbdeploy-debian >&2
# An engine that answers may still not be let run anything, as in many a sandbox.
said=$(timeout 60 docker run --rm --network none nbdeploy-debian /bin/true 2>&1) ||
  none "The engine cannot run a container here: ${said:0:400}"

local=$context/root/usr/local
cp "$prefix/bin/python$minor" "$local/bin/"
ln -s "python$minor" "$local/bin/python3"
ln -s python3 "$local/bin/python"
cp -a "$prefix"/lib/libpython"$minor".so* "$local/lib/" 2>/dev/null || true
tar -C "$prefix/lib" -cf - \
  --exclude="python$minor/site-packages" --exclude="python$minor/test" --exclude=__pycache__ \
  --exclude="python$minor/config-*" --exclude="python$minor/idlelib" \
  --exclude="python$minor/tkinter" --exclude="python$minor/turtledemo" "python$minor" |
  tar -C "$local/lib" -xf -
mkdir -p "$local/lib/python$minor/site-packages"
cp -a "$prefix/lib/python$minor/site-packages/pip" "$prefix/lib/python$minor"/site-packages/pip-*.dist-info \
  "$local/lib/python$minor/site-packages/"

# pip inside of a build reaches the index by the settings of this machine.
cp "$authorities" "$context/root/etc/ssl/certs/ca-certificates.crt"
cat > "$context/root/etc/pip.conf" <<'CONF'
[global]
cert = /etc/ssl/certs/ca-certificates.crt
timeout = 180
CONF

cat > "$context/Dockerfile" <<DOCKERFILE
FROM nbdeploy-debian
COPY root/ /
RUN ldconfig && python -m pip --version && python -c 'import ssl, ctypes, sqlite3, bz2, lzma, uuid'
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHON_VERSION=$version
CMD ["python3"]
DOCKERFILE
DOCKER_BUILDKIT=0 docker build --quiet --tag "python:$minor-slim" "$context" >&2
