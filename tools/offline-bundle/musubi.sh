#!/bin/sh
# The command line tool with the Node.js of this bundle.
here=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
exec "$here/node/bin/node" "$here/node_modules/@musubi/cli/dist/bin.js" "$@"
