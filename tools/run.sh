#!/bin/sh
# `make run`: from a fresh clone to a guest's shell. Returns vireo's own exit code, which make cannot.
# Only the guest reads standard input. Settings come from the environment (see `make help`).
set -eu
cd "$(dirname "$0")/.."
say() { echo "run: $*" >&2; }

tools/deps.sh run
[ -x build/vireo ] || say "building (the first time takes a minute or two)"
tools/build.sh build vireo
if [ -z "${KERNEL:-}" ]; then
    folder=$(tools/guest/fetch.sh kernel </dev/null)
    KERNEL=$folder/Image
    say "kernel: Debian's $(cat "$folder/version")"
    [ -n "${INITRD:-}" ] || INITRD=$(tools/guest/initramfs.py -k "$folder" </dev/null)
fi
[ -z "${INITRD:-}" ] || say "initramfs: $INITRD"
say "starting build/vireo"

set -- --kernel "$KERNEL"
[ -z "${INITRD:-}" ] || set -- "$@" --initrd "$INITRD"
[ -z "${APPEND:-}" ] || set -- "$@" --append "$APPEND"
[ -z "${MEM:-}" ] || set -- "$@" -m "$MEM"
[ -z "${SMP:-}" ] || set -- "$@" -c "$SMP"
# ARGS is a list of words.
exec build/vireo run "$@" ${ARGS:-}
