#!/bin/sh
# sh unpack.sh [FOLDER]: checks the parts beside this script and unpacks them into FOLDER, by default ./musubi. It needs
# neither Node.js nor a network, only sh, cat, sha256sum, tar and gzip.
set -eu

fail() {
  echo "unpack.sh: $*" >&2
  exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-musubi}
target=${target%/}
sums=$here/SHA256SUMS

system="$(uname -s) $(uname -m)"
[ "$system" = 'Linux x86_64' ] || fail "what is packed here runs on Linux x86_64, and this is $system."
for tool in cat sha256sum tar gzip; do
  command -v "$tool" >/dev/null || fail "$tool is missing on this machine."
done
[ -f "$sums" ] || fail "SHA256SUMS is missing beside this script. Copy all files of the bundle into one folder."
[ ! -e "$target" ] || fail "$target is there already. Name another folder, or remove it."

sum_of() {
  sha256sum | cut -d ' ' -f 1
}

# All that is wrong at once: whoever carries parts from machine to machine wants to go back once.
parts='' whole='' problems=0
while read -r expected name all; do
  if [ "$expected" = '#' ]; then
    whole=${all%% *} # the line `# all SUM NAME`
    continue
  fi
  parts="$parts $name"
  if [ ! -f "$here/$name" ]; then
    echo "unpack.sh: $name is missing." >&2
    problems=$((problems + 1))
  elif [ "$(sum_of <"$here/$name")" != "$expected" ]; then
    echo "unpack.sh: $name is damaged, or was not copied whole." >&2
    problems=$((problems + 1))
  fi
done <"$sums"
[ "$problems" -eq 0 ] || fail "nothing was unpacked. Copy again what is named above, into $here."
[ -n "$parts" ] && [ -n "$whole" ] || fail 'SHA256SUMS is damaged. Copy it again.'

all_parts() {
  cd -- "$here"
  # names have no blanks
  # shellcheck disable=SC2086
  cat $parts
}
[ "$(all_parts | sum_of)" = "$whole" ] || fail 'SHA256SUMS and the parts are of two bundles. Copy all files again.'

# made beside its place, so that it is there whole or not at all
made=$target.$$
trap 'rm -rf -- "$made"' EXIT
trap 'exit 130' HUP INT TERM
mkdir -p -- "$made"
(all_parts) | tar -xzof - -C "$made" || fail "tar failed; is there room? $(df -h "$made" | tail -n 1)"
mv -- "$made" "$target"
echo "$target is ready. Try: $target/musubi doctor"
