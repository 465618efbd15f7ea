#!/usr/bin/env python3
"""Debian's own programs in the guest give the right answers: python3, perl, openssl, gcc and what it compiles,
threads, signals, code that writes code, and the clock. What has no other truth is computed by the host too."""

import hashlib
import pathlib
import re
import shutil
import subprocess
import time

import debian
import vm
from tap import Skip, Tap

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
CFLAGS = "-O1 -ffp-contract=off -frounding-math".split()
MIB = 1 << 20

SCRIPT = r"""
. /test/lib.sh
export LC_ALL=C
compile() {
    cd /root
    for name in arith threads signals jit clock; do
        gcc $CFLAGS -o $name /test/$name.c -lm -pthread || touch failed &
    done
    wait
    [ ! -e failed ]
}
hex() {
    od -An -v -tx1 | tr -d ' \n'
    echo
}
digests() { # FIPS 180-4 and 202, RFC 1321, RFC 4231
    printf abc | openssl dgst -sha256
    printf abc | openssl dgst -sha512
    printf abc | openssl dgst -sha3-256
    printf abc | openssl dgst -md5
    printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe
}
ciphers() { # FIPS 197, appendix C
    for key in 000102030405060708090a0b0c0d0e0f 000102030405060708090a0b0c0d0e0f1011121314151617 \
        000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f; do
        printf '\000\021\042\063\104\125\146\167\210\231\252\273\314\335\356\377' |
            openssl enc -aes-$((${#key} * 4))-ecb -nopad -K $key | hex
    done
    for cipher in aes-256-ctr aes-128-cbc chacha20; do
        head -c 600000 /dev/zero | openssl enc -$cipher -K $(printf %064d 1 | head -c 64) \
            -iv $(printf %032d 2) >/tmp/enc
        openssl dgst -sha256 </tmp/enc
        openssl enc -d -$cipher -K $(printf %064d 1) -iv $(printf %032d 2) </tmp/enc | tr -d '\0' | wc -c
    done 2>/dev/null
}
keys() {
    set -e
    cd /tmp
    echo "to be signed" >text
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
    openssl genpkey -algorithm ED25519 -out ed.pem
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa.pem
    for kind in ec ed rsa; do
        openssl pkey -in $kind.pem -pubout -out $kind.pub
    done
    for kind in ec rsa; do
        openssl dgst -sha256 -sign $kind.pem -out $kind.sig text
        openssl dgst -sha256 -verify $kind.pub -signature $kind.sig text
        ! openssl dgst -sha256 -verify $kind.pub -signature $kind.sig /test/main
    done
    openssl pkeyutl -sign -inkey ed.pem -rawin -in text -out ed.sig
    openssl pkeyutl -verify -pubin -inkey ed.pub -rawin -in text -sigfile ed.sig
    # RFC 8032, 7.1, test 2: this key signs the byte 0x72
    printf '\060\056\002\001\000\060\005\006\003\053\145\160\004\042\004\040' >rfc.der
    perl -e 'print pack "H*", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"' >>rfc.der
    printf r >r
    openssl pkeyutl -sign -inkey rfc.der -keyform DER -rawin -in r | hex
}
pipelines() {
    seq 1 20000 | awk '{s += $1 * $1} END {print s}'
    seq 1 5000 | sort -r | sort -n | uniq | md5sum
    yes "some words to count" | head -n 30000 | tr ' ' '\n' | sort | uniq -c | sort -k2 | head -3
    find /usr/include/linux -name '*.h' | xargs cat | wc -c
    find /usr/include/linux -name '*.h' -exec cat {} + | gzip -1 | gzip -dc | wc -c
    cat <(seq 1 3 | tac) <(echo "$((2**62 - 1 + 2**62)) $((7 % -3)) $((0xff ^ 0x0f))") | rev
    diff <(seq 1 1000) <(seq 1 1000 | sed 's/^500$/x/')
    echo "status $? ${PIPESTATUS[*]}"
}
copy() {
    set -e
    perl -e 'print pack("N", $_ * 2654435761 % 4294967296) x 1024 for 0 .. 12799' >/root/50m
    sync
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/root/50m bs=1M status=none | sha256sum
    dd if=/root/50m of=/root/50m.copy bs=64k oflag=direct status=none
    echo 3 >/proc/sys/vm/drop_caches
    cmp /root/50m /root/50m.copy
    stat -c %s /root/50m.copy
    rm /root/50m /root/50m.copy
}
storm() {
    for i in $(seq 1 100); do /bin/true || return 1; done
    pids=()
    for i in $(seq 1 60); do
        (exit $((i % 7))) &
        pids+=($!)
    done
    failed=0
    for job in "${pids[@]}"; do wait $job || failed=$((failed + 1)); done
    echo "failed $failed"
    seq 1 100 | xargs -P 8 -I N sh -c 'echo $((N * N))' | sort -n | tail -1
}
section python python3 /test/answers.py
section perl perl /test/answers.pl
section digests digests
section ciphers ciphers
section keys keys
section compile compile
section arith /root/arith
section threads /root/threads
section signals /root/signals
section jit /root/jit
section pipelines pipelines
section copy copy
section storm storm
echo "date $(date +%s.%N)"
echo "host: clock"
read -r answer </dev/console
section clock /root/clock
read -r answer </dev/console
echo sleeping
sleep 2
echo "slept"
read -r answer </dev/console
"""


def lines_equal(got, want):
    wrong = [f"{a!r}, not {b!r}" for a, b in zip(got.splitlines(), want.splitlines()) if a != b]
    assert got == want, "\n".join(wrong[:5]) or f"{got!r}, not {want!r}"


def host(*args):
    if not shutil.which(args[0]):
        raise Skip(f"the host has no {args[0]} to compare with")
    return debian.run(*args, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).decode()


tap = Tap()
with debian.scratch() as tmp:
    disk = debian.copy(tmp)
    files = {path.name: path.read_bytes() for path in PROGRAMS.iterdir()}
    elapsed = {}
    with tap.test("a guest of 2 harts runs Debian's programs"):
        args = debian.machine(tmp, SCRIPT.replace("$CFLAGS", " ".join(CFLAGS)), files)
        with vm.Vm(*args, "--disk", disk, "-c", 2, "-m", "512M", deadline_s=480) as guest:
            try:
                guest.expect("host: clock\n")
                elapsed["date"] = time.time()
                guest.send("\n")
                at = guest.expect("=== clock: exit")
                guest.send("\n")
                guest.expect("sleeping\n", at)
                start = time.monotonic()
                guest.expect("slept\n", at)
                elapsed["sleep"] = time.monotonic() - start
                guest.send("\n")
            finally:
                done = debian.Done(guest)
        done.healthy()

    with tap.test("python3"):
        lines_equal(done.check("python"), host("python3", PROGRAMS / "answers.py"))

    with tap.test("perl"):
        lines_equal(done.check("perl"), host("perl", PROGRAMS / "answers.pl"))

    with tap.test("openssl: digests with known answers"):
        output = done.check("digests")
        for name, data in (("sha256", b"abc"), ("sha512", b"abc"), ("sha3_256", b"abc"), ("md5", b"abc")):
            assert hashlib.new(name, data).hexdigest() in output, name
        assert "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" in output

    with tap.test("openssl: ciphers with known answers"):
        output = done.check("ciphers")
        for answer in ("69c4e0d86a7b0430d8cdb78070b4c55a", "dda97ca4864cdfe06eaf70a0ec0d7191",
                       "8ea2b7ca516745bfeafc49904b496089"):
            assert answer in output, output
        key, iv = f"{1:064d}", f"{2:032d}"
        want = ""
        for cipher in ("aes-256-ctr", "aes-128-cbc", "chacha20"):
            zeroes = subprocess.Popen(["head", "-c", "600000", "/dev/zero"], stdout=subprocess.PIPE)
            body = subprocess.run(["openssl", "enc", "-" + cipher, "-K", key, "-iv", iv], stdin=zeroes.stdout,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
            zeroes.wait()
            assert hashlib.sha256(body).hexdigest() in output, f"{cipher}: {output}"
        assert re.findall(r"^0$", output, re.M) == ["0"] * 3, output

    with tap.test("openssl: keys are made, sign and verify"):
        output = done.check("keys")
        assert output.count("Verified OK") == 2 and output.count("Verification failure") == 2, output
        assert "Signature Verified Successfully" in output, output
        assert ("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00") in output, output

    with tap.test("gcc compiles, and floating point and integers are exact"):
        done.check("compile")
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            raise Skip("the host has no C compiler to compare with")
        program = pathlib.Path(tmp) / "arith"
        debian.run(compiler, *CFLAGS, "-o", program, PROGRAMS / "arith.c", "-lm")
        lines_equal(done.check("arith"), debian.run(program).decode())

    for name, parts in (("threads", "counters messages fences turns clocks"),
                        ("signals", "faults timers stacks processes mappings"),
                        ("jit", "in place/mprotect/two mappings/child/beside/threads")):
        with tap.test(f"a C program: {name}"):
            want = "".join(f"{part} ok\n" for part in parts.split("/" if "/" in parts else " "))
            lines_equal(done.check(name), want)

    with tap.test("shell pipelines"):
        output = done.check("pipelines").splitlines()
        assert output[0] == str(sum(n * n for n in range(1, 20001))), output
        numbers = "".join(f"{n}\n" for n in range(1, 5001)).encode()
        assert output[1] == hashlib.md5(numbers).hexdigest() + "  -", output
        assert [line.split() for line in output[2:5]] == [["30000", w] for w in ("count", "some", "to")], output
        assert int(output[5]) == int(output[6]) > 2 * MIB, output
        assert output[7:11] == ["3", "2", "1", "042 1 7085774586302733229"], output
        assert output[11:15] == ["500c500", "< 500", "---", "> x"] and output[15].startswith("status 1"), output

    with tap.test("50 MB through the disk and sha256sum"):
        body = b"".join((n * 2654435761 % 4294967296).to_bytes(4, "big") * 1024 for n in range(12800))
        assert done.check("copy") == f"{hashlib.sha256(body).hexdigest()}  -\n{len(body)}\n"

    with tap.test("hundreds of processes"):
        failed = sum(1 for n in range(1, 61) if n % 7)
        assert done.check("storm") == f"failed {failed}\n10000\n", done.check("storm")

    with tap.test("the guest's date is the host's"):
        date = float(re.search(r"^date (\S+)$", done.text, re.M)[1])
        assert abs(date - elapsed["date"]) < 10, (date, elapsed["date"])

    with tap.test("a second of sleep takes a second"):
        slept, tenth = done.check("clock").splitlines()
        values = [float(x) for x in re.findall(r"[\d.]+", slept)]
        assert all(1.0 <= v < 1.5 for v in values[:3] + values[4:]) and values[3] < 0.3, slept
        assert 0.1 <= float(tenth.split()[1]) < 0.15, tenth
        assert 1.8 < elapsed["sleep"] < 4, elapsed

tap.finish()
