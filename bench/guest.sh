#!/bin/sh
# Builds what the benchmark guests run, into $BENCH_DIR/guest: guest/*.c for riscv64 and for this host,
# an initramfs with them, and a bare-metal program that powers off at once (start-up cost).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../tools/guest
guest=${BENCH_DIR:?}/guest
mkdir -p "$guest"
kernel=$("$tools/fetch.sh" kernel)
firmware=$("$tools/fetch.sh" firmware)
ln -sfn "$kernel/Image" "$guest/Image"
ln -sfn "$firmware/fw_dynamic.bin" "$guest/fw_dynamic.bin"

# No vectors: the guest has none, and the native twin shall do the same work.
flags="-std=c17 -D_GNU_SOURCE -O2 -fno-tree-vectorize -Wall -Wextra -static -pthread"
native=
[ "$(uname -m)" != x86_64 ] || native=-march=x86-64-v3
for program in bench blk net fs; do
    sources=$here/guest/$program.c
    [ $program != bench ] || sources=$(echo "$here"/guest/bench*.c)
    riscv64-linux-gnu-gcc $flags -march=rv64gc -o "$guest/$program.rv" $sources -lm
    cc $flags $native -o "$guest/$program.native" $sources -lm
done
riscv64-linux-gnu-gcc -march=rv64imac -mabi=lp64 -nostdlib -static -Wl,-Ttext=0x80000000 \
    -Wl,--build-id=none -o "$guest/off.elf" "$here/guest/off.S"

cat "$here/guest/bench.h" "$here/guest/bench_int.c" | sed '/"bench.h"/d' >"$guest/job.c" # what gcc compiles
"$tools/initramfs.py" --gzip -k "$kernel" -o "$guest/initrd.gz" -i "$here/guest/init" \
    -m virtio_mmio,virtio_blk,virtio_net,virtiofs,ext4 \
    -f "$guest/bench.rv:bin/bench" -f "$guest/blk.rv:bin/blk" -f "$guest/net.rv:bin/net" \
    -f "$guest/fs.rv:bin/fs" -f "$here/guest/realworld.sh:root/realworld.sh" -f "$guest/job.c:root/job.c" >/dev/null
