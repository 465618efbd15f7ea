#!/bin/sh
# Runs every fuzz target under libFuzzer, with address and undefined-behaviour checks:
# fuzz.sh [SECONDS_EACH [TARGET...]]. What it finds stays in build-fuzz/corpus/TARGET for the next run.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-20}
[ $# -eq 0 ] || shift
tools/deps.sh test
if [ ! -f build-fuzz/build.ninja ]; then
    CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        --buildtype=debugoptimized </dev/null >/dev/null
fi
tools/build.sh build-fuzz
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
failed=0
for replay in build-fuzz/tests/fuzz/*_replay; do
    [ -x "$replay" ] || { echo "fuzz: no targets" >&2; exit 1; }
    name=$(basename "${replay%_replay}")
    case " $* " in *" $name "* | "  ") ;; *) continue ;; esac
    corpus=build-fuzz/corpus/$name
    mkdir -p "$corpus" build-fuzz/found
    "$replay" --seeds "$corpus"
    log=build-fuzz/$name.log
    if "${replay%_replay}_fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
        -artifact_prefix="build-fuzz/found/$name-" "$corpus" </dev/null >"$log" 2>&1; then
        echo "fuzz: $name: $(grep -o '^Done .*' "$log")"
    else
        failed=$((failed + 1))
        grep -m 1 -A 20 'ERROR: \|runtime error: ' "$log" || tail -n 20 "$log"
        echo "fuzz: $name: FAILED; input in build-fuzz/found/$name-*, run it: $replay FILE"
    fi
done
[ "$failed" -eq 0 ]
