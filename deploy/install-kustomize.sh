#!/usr/bin/env bash
# Puts kustomize into the folder given as the first argument, on Debian and as root. Debian bookworm has none that is
# new enough, so it comes out of the package of the next release, asked for from the same mirror; nothing is installed.
set -euo pipefail

readonly target=${1:?name the folder for the program}
readonly release=trixie

if [ -x "$target/kustomize" ]; then exit 0; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "Not Debian or not root: install kustomize 5 yourself for the manifest tests" >&2
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources" "$work/lists/partial" "$work/cache/archives/partial"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -f "$file" ] && sed "s/bookworm/$release/g" "$file" >"$work/sources/$(basename "$file")"
done

readonly options=(
  -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$work/sources"
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=root"
)
echo "Fetching kustomize"
apt-get "${options[@]}" update -qq
(cd "$work" && apt-get "${options[@]}" download -qq kustomize)
dpkg-deb -x "$work"/kustomize_*.deb "$work/unpacked"
install -D -m 0755 "$work/unpacked/usr/bin/kustomize" "$target/kustomize"
