#!/usr/bin/env bash
# Installs what tests/deploy needs to build and run images: on Debian, as root; quiet, and again does no harm.
# Elsewhere it says so and ends with 0: the tests then skip and say why.
set -euo pipefail

readonly packages=(
  podman buildah runc          # build and run; crun fails where cgroups are mixed
  netavark aardvark-dns iptables iproute2 # networks with names, published ports
  catatonit                    # the init process podman wants to find
  debootstrap                  # base images without a registry
  nginx-light                  # the ingress tests
  prometheus                   # promtool and the run that fills the dashboard
)

if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "Not Debian or not root: the container tests will be skipped"
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  # shellcheck disable=SC2016 # the dollar is dpkg's
  [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
[ ${#missing[@]} = 0 ] && exit 0

echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# RUNLEVEL=1: installing nginx and prometheus is not to start them; the tests start their own.
RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
