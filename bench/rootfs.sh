#!/bin/sh
# Debian riscv64 userland for the "root" benchmark, unpacked only (no maintainer scripts, no emulation),
# as $BENCH_DIR/root.img. Needs mmdebstrap and mkfs.ext4.
set -eu
PATH=$PATH:/sbin:/usr/sbin
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mode=unshare
[ "$(id -u)" != 0 ] || mode=root
"$here/../tools/guest/fetch.sh" sources >"$work/sources.list"
mmdebstrap --variant=extract --architectures=riscv64 --mode=$mode \
    --include=base-files,dash,coreutils,util-linux,openssl,python3-minimal,xz-utils,gzip,gcc,libc6-dev,procps,findutils,grep \
    trixie "$root" "$work/sources.list" 2>"$BENCH_DIR/mmdebstrap.log"
ln -sf dash "$root/usr/bin/sh"
[ -e "$root/usr/bin/python3" ] || ln -sf "$(basename "$(ls "$root"/usr/bin/python3.* | head -1)")" "$root/usr/bin/python3"
[ -e "$root/usr/bin/gcc" ] || ln -sf gcc-14 "$root/usr/bin/gcc"
mkdir -p "$root/proc" "$root/dev" "$root/tmp" "$root/sys"
cp "$here/guest/realworld.sh" "$root/realworld.sh"
cat "$here/guest/bench.h" "$here/guest/bench_int.c" | sed '/"bench.h"/d' >"$root/bench.c"
truncate -s 2500M "$BENCH_DIR/root.img.tmp"
mkfs.ext4 -q -F -O ^metadata_csum -d "$root" "$BENCH_DIR/root.img.tmp"
mv "$BENCH_DIR/root.img.tmp" "$BENCH_DIR/root.img"
