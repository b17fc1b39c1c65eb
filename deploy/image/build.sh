#!/usr/bin/env bash
# Builds the image of the tree: usage: deploy/image/build.sh [cpu|cuda] [NAME:TAG]
#
# With docker or podman where they work, else with buildah, whose base mmdebstrap makes of Debian's packages
# where no registry can be reached. BASE names another base; CERTIFICATES a PEM file, for networks whose
# proxy signs with an authority of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."
variant=${1:-cpu}
version=$(python3 deploy/release/version.py)
name=${2:-twopass:$version$([ "$variant" = cpu ] || echo "-$variant")}

revision=$(git rev-parse HEAD 2> /dev/null || echo unknown)
arguments=(
  --file deploy/image/Dockerfile --tag "$name"
  --build-arg VARIANT="$variant" --build-arg VERSION="$version" --build-arg REVISION="$revision"
)
if [ -n "${CERTIFICATES:-}" ]; then
  arguments+=(--secret id=certificates,src="$CERTIFICATES")
fi

# What buildah uses for a base where the registry can't be reached: Debian's own packages, as its image has them.
debian_base() {
  local packages=.cache/image/debian-13.tar
  if [ ! -f $packages ]; then
    mkdir -p .cache/image
    mmdebstrap --variant=minbase --format=tar --quiet \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
      trixie $packages.part \
      'deb http://deb.debian.org/debian trixie main' \
      'deb http://deb.debian.org/debian trixie-updates main' \
      'deb http://deb.debian.org/debian-security trixie-security main'
    mv $packages.part $packages
  fi
  local container
  container=$(buildah from scratch)
  buildah add --quiet "$container" $packages / > /dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$container"
  buildah commit --quiet --rm "$container" localhost/debian:13-slim > /dev/null
}

for tool in docker podman buildah; do
  case $tool in
    docker) docker info > /dev/null 2>&1 || continue ;;
    podman) podman run --rm docker.io/library/debian:13-slim true > /dev/null 2>&1 || continue ;;
    buildah) command -v buildah > /dev/null || continue ;;
  esac
  echo "# $name, variant $variant, built by $($tool --version | head -1)"
  if [ $tool != buildah ]; then
    [ -z "${BASE:-}" ] || arguments+=(--build-arg BASE="$BASE")
    if [ $tool = podman ]; then arguments+=(--format docker); fi  # OCI's has no health check
    DOCKER_BUILDKIT=1 exec $tool build "${arguments[@]}" .
  fi
  export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
  base=${BASE:-docker.io/library/debian:13-slim}
  if [ -z "${BASE:-}" ] && ! buildah pull --quiet $base > /dev/null 2>&1; then
    base=localhost/debian:13-slim
    buildah inspect --type image $base > /dev/null 2>&1 || debian_base
    echo "# $base, made by mmdebstrap: no registry can be reached"
  fi
  exec buildah build --format docker --layers --build-arg BASE="$base" \
    --ignorefile deploy/image/Dockerfile.dockerignore "${arguments[@]}" .
done
echo "docker, podman or buildah is needed, and none works here: on Debian, apt install buildah mmdebstrap" >&2
exit 1
