#!/bin/sh
# bench/gpu.sh [--device cuda] [--json gpu-bench.json] [PART…]: what training is like on this machine's card, in one JSON.
# It runs in the repository, after `pnpm install`, and in the bundle for machines without internet, which has its own Node.js.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
root=$(dirname -- "$here")
MUSUBI_GOLDEN=${MUSUBI_GOLDEN:-$root/golden}
export MUSUBI_GOLDEN
if [ -x "$root/node/bin/node" ]; then
  exec "$root/node/bin/node" "$here/gpu/main.js" "$@"
fi
exec node --import "$root/node_modules/tsx/dist/loader.mjs" --conditions=@musubi/source "$here/gpu/main.ts" "$@"
