#!/bin/sh
# Fetches guests: Debian 13's stock kernels, busybox, firmware, and the emulators that tests
# and benchmarks compare with or make hosts of. Packages come from this machine's own Debian mirror through a private
# apt state (signatures verified, the system's package state untouched) and are unpacked, never
# installed, under ${XDG_CACHE_HOME:-~/.cache}/vireo/guest. No root needed; what is cached stays.
#
#   fetch.sh kernel [ARCH] kernel, its modules and busybox for Debian's ARCH (riscv64, amd64 or arm64;
#                          default riscv64); prints the folder that holds Image, busybox, modules/
#                          (the kernel's module tree) and version
#   fetch.sh test-kernel   a riscv64 kernel with what Debian's own leaves out (native PCI Express hot plug),
#                          built from Debian's linux-source with test_kernel.config: 10 minutes or so;
#                          prints the folder (Image, config, version)
#   fetch.sh firmware      OpenSBI and U-Boot; prints the folder (fw_dynamic.bin, fw_jump.bin, u-boot.bin)
#   fetch.sh oracle        user-mode emulator for riscv64 (newer than Debian 12's); prints its path
#   fetch.sh user-arm64    user-mode emulator for arm64, likewise
#   fetch.sh qemu10 [CPU]  system emulator for riscv64, x86_64 or aarch64 (default riscv64) with its
#                          libraries; prints its path
#   fetch.sh virtiofsd     serves a folder to the emulator of qemu10; prints its path
#   fetch.sh compiler      the guest's compiler as programs of this host; prints the folder (cc1, as)
#   fetch.sh packages N..  unpacks riscv64 packages; prints one folder a name, in the same order
#   fetch.sh debs N..      downloads riscv64 packages and all that they depend on; prints the .deb files
#   fetch.sh sysroot       the libraries that vireo is built with, for arm64, of Debian 12 as the cross
#                          compiler is; prints the folder, in which cross.ini is for meson
#
# MIRROR=URI overrides the mirror. To fetch again (a newer kernel), remove the cache folder.
set -eu

suite=trixie
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vireo/guest/$suite
unset APT_CONFIG
trap 'rm -rf "$cache/tmp.$$" "$cache/new.$$"' EXIT

say() { echo "guest: $*" >&2; }
die() { say "$*"; exit 3; }

# The mirrors that this machine is configured with, the most promising first.
mirrors() {
    if [ -n "${MIRROR:-}" ]; then
        echo "$MIRROR"
        return
    fi
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' \
        </dev/null 2>/dev/null |
        awk '$2 == "main" && $0 !~ /security|backports|cdrom:/ {
                 uri = $NF; if (!seen[uri]++) { if ($1 == "Debian") print uri; else rest = rest uri "\n" }
             }
             END { printf "%s", rest }'
}

# apt for architecture $1 with its own state; the rest is the command.
private_apt() {
    apt_arch=$1; shift
    APT_CONFIG=$cache/apt-$apt_arch/apt.conf "$@" </dev/null
}

# Makes the package lists of architecture $1 ready.
apt_ready() {
    a=$cache/apt-$1
    [ -e "$a/ready" ] && { [ -z "${MIRROR:-}" ] || [ "$(cat "$a/ready")" = "$MIRROR" ]; } && return
    command -v apt-get >/dev/null ||
        die "no apt-get here: give a kernel and an initramfs by hand (make run KERNEL=... INITRD=...)"
    [ -r "$keyring" ] || die "$keyring is missing: install debian-archive-keyring"
    rm -rf "$a"
    mkdir -p "$a/lists/partial" "$a/cache/archives/partial"
    : >"$a/status"
    cat >"$a/apt.conf" <<EOF
APT::Architecture "$1";
APT::Architectures { "$1"; };
APT::Sandbox::User "$(id -un)";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "3";
Dir::State "$a";
Dir::State::lists "$a/lists";
Dir::State::status "$a/status";
Dir::State::extended_states "$a/extended_states";
Dir::Cache "$a/cache";
Dir::Log "$a";
Dir::Etc::SourceList "$a/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::Etc::Trusted "/dev/null";
Dir::Etc::TrustedParts "/dev/null";
DPkg::Post-Invoke { };
APT::Update::Post-Invoke { };
APT::Update::Post-Invoke-Success { };
EOF
    for uri in $(mirrors); do
        echo "deb [arch=$1 signed-by=$keyring] $uri $suite main" >"$a/sources.list"
        say "package lists of Debian $suite $1"
        if private_apt "$1" apt-get update -qq --error-on=any >"$a/log" 2>&1; then
            echo "$uri" >"$a/ready"
            return
        fi
    done
    [ ! -e "$a/log" ] || sed 's/^/guest:   /' "$a/log" >&2
    die "no configured mirror gives Debian $suite for $1; name one: MIRROR=http://HOST/debian"
}

# Downloads and unpacks package $2 of architecture $1, unless it is there; sets $dir.
unpack() {
    dir=$cache/$1/$2
    [ -d "$dir" ] && return
    apt_ready "$1"
    say "$2"
    tmp=$cache/tmp.$$
    rm -rf "$tmp"
    mkdir -p "$tmp/deb" "$cache/$1"
    (cd "$tmp/deb" && private_apt "$1" apt-get download -qq "$2" >"$tmp/log" 2>&1) ||
        { cat "$tmp/log" >&2; die "cannot download $2"; }
    dpkg-deb -x "$tmp"/deb/*.deb "$tmp/root"
    mv "$tmp/root" "$dir"
    rm -rf "$tmp"
}

# The packages that $2 of architecture $1 depends on by name (the lists are ready).
depends() {
    private_apt "$1" apt-cache depends "$2" | sed -n 's/^ *Depends: //p'
}

# Publishes folder $cache/$1, filled by function $2 in $new, whole or not at all.
publish() {
    new=$cache/new.$$
    rm -rf "$new"
    mkdir -p "$new"
    "$2"
    rm -rf "${cache:?}/$1"
    mv "$new" "$cache/$1"
}

make_kernel() {
    apt_ready "$arch"
    package=$(depends "$arch" "linux-image-$arch" | grep '^linux-image-' | head -n 1)
    [ -n "$package" ] || die "linux-image-$arch names no kernel package"
    unpack "$arch" "$package"
    version=${package#linux-image-}
    for image in vmlinux vmlinuz; do # riscv64 names its own so
        [ ! -e "$dir/boot/$image-$version" ] || ln -s "../$arch/$package/boot/$image-$version" "$new/Image"
    done
    for lib in usr/lib lib; do
        [ -d "$dir/$lib/modules/$version" ] &&
            ln -s "../$arch/$package/$lib/modules/$version" "$new/modules"
    done
    echo "$version" >"$new/version"
    unpack "$arch" busybox-static
    ln -s "../$arch/busybox-static/usr/bin/busybox" "$new/busybox"
}

# As many programs at a time as there are processors, and nobody has to wait for them.
make_test_kernel() {
    exec 8>"$cache/lock"
    flock 8
    apt_ready riscv64
    package=$(depends riscv64 linux-source | grep '^linux-source-' | head -n 1)
    [ -n "$package" ] || die "linux-source names no package"
    for tool in make flex bison bc xz riscv64-linux-gnu-gcc; do
        command -v $tool >/dev/null || die "$tool is missing: run tools/deps.sh test"
    done
    unpack riscv64 "$package"
    exec 8>&-
    tmp=$cache/tmp.$$
    rm -rf "$tmp"
    mkdir -p "$tmp/src" "$tmp/out"
    say "a kernel from $package"
    tar -xJf "$dir/usr/src/$package.tar.xz" -C "$tmp/src" --strip-components=1 \
        --exclude='*/drivers/gpu/drm/amd/include' --exclude='*/tools/testing'
    build() {
        nice make -s -j"$(nproc)" -C "$tmp/src" O="$tmp/out" ARCH=riscv CROSS_COMPILE=riscv64-linux-gnu- \
            KCONFIG_ALLCONFIG="$test_config" KBUILD_BUILD_USER=vireo KBUILD_BUILD_HOST=vireo \
            "$@" >"$cache/test-kernel.log" 2>&1 </dev/null ||
            { tail -n 30 "$cache/test-kernel.log" >&2; die "the kernel does not build"; }
    }
    build allnoconfig
    while read -r line; do
        case $line in
        CONFIG_*=y) grep -qx "$line" "$tmp/out/.config" || die "test_kernel.config: $line was dropped" ;;
        esac
    done <"$test_config"
    build Image
    cp "$tmp/out/arch/riscv/boot/Image" "$new/Image"
    cp "$tmp/out/.config" "$new/config"
    echo "${package#linux-source-}" >"$new/version"
    rm -rf "$tmp" "$dir" # the source is large
}

make_firmware() {
    unpack riscv64 opensbi
    ln -s ../riscv64/opensbi/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin "$new/"
    ln -s ../riscv64/opensbi/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin "$new/"
    unpack riscv64 u-boot-qemu
    ln -s ../riscv64/u-boot-qemu/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin "$new/"
}

make_oracle() {
    unpack "$host" qemu-user
    mv "$dir/usr/bin/qemu-riscv64" "$new/"
    rm -rf "$dir" # the other guests' emulators are large
}

# The same for programs of arm64. Debian 12's (7.2) does not see code change that is written at another
# address than it runs at: it ignores "ic ivau".
make_user_arm64() {
    unpack "$host" qemu-user
    mv "$dir/usr/bin/qemu-aarch64" "$new/"
    rm -rf "$dir"
}

# Unpacks packages "$@" for this host, and all that they depend on, into $new/root.
closure() {
    apt_ready "$host"
    say "$1 and its libraries"
    private_apt "$host" apt-get install -qq -y --download-only "$@" \
        >"$new/log" 2>&1 || { cat "$new/log" >&2; die "cannot download $*"; }
    mkdir "$new/root"
    for deb in "$cache/apt-$host"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$new/root"
    done
    private_apt "$host" apt-get clean
}

# Makes $new/$1, which starts $new/root/$2 under the C library and the loader of that root, which are newer than this
# system's. The rest are arguments that stand before its own, in which $root is that folder.
alone() {
    name=$1
    program=$2
    shift 2
    cat >"$new/$name" <<EOF
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/root
libc=\$(echo "\$root"/usr/lib/*-linux-gnu/libc.so.6)
libs=\${libc%/*}
for ld in "\$libs"/ld-*.so.* "\$root"/usr/lib/ld-*.so.*; do
    [ -e "\$ld" ] && break
done
exec "\$ld" --library-path "\$libs" --argv0 "\$0" "\$root/$program" $* "\$@"
EOF
    chmod 755 "$new/$name"
}

make_qemu10() {
    case $cpu in
    riscv64) package=qemu-system-riscv ;;
    x86_64) package=qemu-system-x86 ;;
    aarch64) package=qemu-system-arm ;;
    *) die "no emulator for '$cpu': riscv64, x86_64 or aarch64" ;;
    esac
    closure "$package"
    alone "qemu-system-$cpu" "usr/bin/qemu-system-$cpu" '-L "$root/usr/share/qemu"' \
        '-L "$root/usr/share/seabios" -L "$root/usr/lib/ipxe/qemu"'
}

make_virtiofsd() {
    closure virtiofsd
    alone virtiofsd usr/libexec/virtiofsd
}

# The guest's own compiler and assembler (same version, same output) as programs of this host.
make_compiler() {
    closure cpp-14-riscv64-linux-gnu binutils-riscv64-linux-gnu
    alone cc1 "$(cd "$new/root" && echo usr/libexec/gcc-cross/riscv64-linux-gnu/14/cc1)"
    alone as usr/bin/riscv64-linux-gnu-as
}

# Libraries with what they need to run, and a cross file by which programs run under qemu-user. Its -L
# would put this folder in place of /, so the loader is called by name.
make_sysroot() {
    for package in libuv1-dev libuv1 libjansson-dev libjansson4 libfdt-dev libfdt1 zlib1g-dev zlib1g \
        libxxhash-dev libxxhash0 libzstd-dev libzstd1 libslirp-dev libslirp0 libglib2.0-0 libpcre2-8-0 libcmocka-dev libcmocka0 libc6 libgcc-s1 libatomic1; do
        unpack arm64 "$package"
        cp -a "$dir/." "$new/"
    done
    triplet=aarch64-linux-gnu
    to=$cache/sysroot2-arm64
    cat >"$new/cross.ini" <<EOF
[binaries]
c = '$triplet-gcc'
ar = '$triplet-gcc-ar'
strip = '$triplet-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64-static', '$to/lib/$triplet/ld-linux-aarch64.so.1', '--library-path',
               '$to/usr/lib/$triplet:$to/lib/$triplet']

[properties]
sys_root = '$to'
pkg_config_libdir = ['$to/usr/lib/$triplet/pkgconfig']
skip_sanity_check = true

[built-in options]
c_args = ['-isystem', '$to/usr/include']
c_link_args = ['-L$to/usr/lib/$triplet', '-Wl,-rpath-link,$to/usr/lib/$triplet:$to/lib/$triplet']

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
EOF
}

# Under the lock: makes folder $1 with function $2 unless it is there.
want() {
    if [ ! -e "$cache/$1" ]; then
        lock
        [ -e "$cache/$1" ] || publish "$1" "$2"
    fi
    echo "$cache/$1${3:+/$3}"
}

lock() {
    mkdir -p "$cache"
    exec 9>"$cache/${1:-lock}"
    flock 9
}

command=${1:-help}
[ $# -eq 0 ] || shift
case $command in
kernel)
    arch=${1:-riscv64}
    case $arch in riscv64) folder=kernel ;; *) folder=kernel-$arch ;; esac
    want "$folder" make_kernel
    ;;
test-kernel)
    test_config=$(dirname "$(readlink -f "$0")")/test_kernel.config
    folder=test-kernel-$(sha256sum "$test_config" | cut -c 1-12)
    if [ ! -e "$cache/$folder" ]; then
        lock test-kernel.lock # of its own: others need not wait for the build
        [ -e "$cache/$folder" ] || publish "$folder" make_test_kernel
    fi
    echo "$cache/$folder"
    ;;
firmware) want firmware make_firmware ;;
oracle) host=$(dpkg --print-architecture); want oracle make_oracle qemu-riscv64 ;;
user-arm64) host=$(dpkg --print-architecture); want user-arm64 make_user_arm64 qemu-aarch64 ;;
qemu10)
    host=$(dpkg --print-architecture)
    cpu=${1:-riscv64}
    case $cpu in riscv64) folder=qemu10 ;; *) folder=qemu10-$cpu ;; esac
    want "$folder" make_qemu10 "qemu-system-$cpu"
    ;;
virtiofsd) host=$(dpkg --print-architecture); want virtiofsd make_virtiofsd virtiofsd ;;
compiler) host=$(dpkg --print-architecture); want compiler make_compiler ;;
sysroot)
    suite=bookworm
    cache=${cache%/*}/$suite
    want sysroot2-arm64 make_sysroot
    ;;
packages)
    lock
    for name; do
        unpack riscv64 "$name"
        echo "$dir"
    done
    ;;
debs)
    lock
    apt_ready riscv64
    files=$(private_apt riscv64 apt-get install -qq -s "$@" |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\(.*\)\]).*/\1_\2_\3.deb/p' | sed 's/:/%3a/g')
    [ -n "$files" ] || die "no such packages: $*"
    archives=$cache/apt-riscv64/cache/archives
    for file in $files; do
        [ -e "$archives/$file" ] && continue
        say "packages: $*"
        private_apt riscv64 apt-get install -qq -y --download-only "$@" >"$cache/apt-riscv64/log" 2>&1 ||
            { cat "$cache/apt-riscv64/log" >&2; die "cannot download $*"; }
        break
    done
    for file in $files; do
        [ -e "$archives/$file" ] || die "apt did not download $file"
        echo "$archives/$file"
    done
    ;;
*) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0"; [ "$command" = help ] || exit 2 ;;
esac
