#!/usr/bin/env bash
# Put the scripts that the site serves itself into a folder: mermaid draws the diagrams, and iframe-worker lets the search
# work from a folder without a server. `website/scripts.sha256` pins their content.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
mkdir -p "$folder"
if ! command -v npm >/dev/null; then
  echo "No npm: diagrams of the site are shown as text, and its search needs a web server"
  cp "$here/no-mermaid.js" "$folder/mermaid.min.js"
  : >"$folder/iframe-worker.js"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-audit --no-fund --no-save --no-package-lock --ignore-scripts --prefix "$work" \
  mermaid@11.16.0 iframe-worker@1.0.4
(cd "$work/node_modules" && sha256sum --quiet --check "$here/scripts.sha256")
cp "$work/node_modules/mermaid/dist/mermaid.min.js" "$folder/mermaid.min.js"
cp "$work/node_modules/iframe-worker/shim/index.js" "$folder/iframe-worker.js"
