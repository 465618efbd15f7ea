#!/bin/sh
# Installs what building, running and testing need, through the machine's package manager.
#
#   deps.sh [run|test]   run (default): to build and run.  test: also everything that tests use.
#   deps.sh list SET     prints the package names
#
# Exits 0 at once when nothing is missing, 3 when it cannot install.
set -eu

run_set="gcc meson ninja-build pkg-config python3 libc6-dev libuv1-dev libfdt-dev libjansson-dev
zlib1g-dev libxxhash-dev libzstd-dev libslirp-dev debian-archive-keyring util-linux ca-certificates"
test_set="clang clang-format llvm libcmocka-dev gcc-riscv64-linux-gnu binutils-riscv64-linux-gnu
libc6-dev-riscv64-cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-mingw-w64-x86-64-win32
wine64 device-tree-compiler qemu-user-static qemu-system-misc e2fsprogs cpio curl pciutils
pci.ids hwloc-nox xorriso gdb-multiarch dosfstools mtools
bc bison flex make nodejs"
# Where nodejs is not Debian's own, npm comes with it, and Debian's package is in its way.
command -v npm >/dev/null || test_set="$test_set npm"

set_name=${1:-run}
if [ "$set_name" = list ]; then
    set_name=${2:-run}
    list=yes
fi
case $set_name in
run) names=$run_set ;;
test) names="$run_set $test_set" ;;
*) echo "deps: unknown set '$set_name': run or test" >&2; exit 2 ;;
esac
if [ -n "${list:-}" ]; then
    echo $names
    exit
fi

missing() {
    # What is installed prints its own name; the rest of the list is what is missing.
    installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $names 2>/dev/null |
        sed -n 's/^installed //p' | tr '\n' ' ')"
    for name in $names; do
        case $installed in
        *" $name "*) ;;
        *) echo "$name" ;;
        esac
    done
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    for tool in cc meson ninja pkg-config python3; do
        command -v $tool >/dev/null || absent="${absent:-} $tool"
    done
    [ -n "${absent:-}" ] || exit 0 # the build file says which library is missing, if one is
    echo "deps: not a Debian-like system; install these by hand (Debian's names):" >&2
    echo "deps:  " $names >&2
    exit 3
fi

need=$(missing)
[ -n "$need" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    sudo=sudo
    command -v sudo >/dev/null || {
        echo "deps: not root, and no sudo; ask for: apt-get install" $need >&2
        exit 3
    }
fi
echo "deps: installing" $need >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
    $sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
        apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >"$log" 2>&1
}
# Old package lists are good enough until they turn out not to be.
apt_get install --no-install-recommends $need || {
    apt_get update && apt_get install --no-install-recommends $need
} || {
    tail -n 20 "$log" >&2
    echo "deps: could not install" $need >&2
    exit 3
}
