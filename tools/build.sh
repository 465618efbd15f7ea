#!/bin/sh
# Configures (once) and builds the optimised tree: build.sh [DIR [TARGET...]]. Quiet; the log is shown
# when it fails. Reads no standard input, so that a guest's commands can be piped through `make run`.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-build}
[ $# -eq 0 ] || shift
log=$dir/build.log
mkdir -p "$dir"

try() {
    "$@" </dev/null >"$log" 2>&1 || {
        grep -q '^FAILED' "$log" && sed -n '/^FAILED/,$p' "$log" | head -n 60 >&2 || tail -n 30 "$log" >&2
        echo "build: failed; the whole log is $log" >&2
        exit 1
    }
}
[ -f "$dir/build.ninja" ] || try meson setup "$dir" --buildtype=release -Db_lto=true \
    ${PREFIX:+--prefix "$PREFIX"}
try ninja -C "$dir" "$@"
