"""What the stress guests do (stress.py), one job a line of work, and what they need for it."""

import collections
import concurrent.futures
import hashlib
import io
import os
import pathlib
import re
import subprocess
import tarfile

import debian
import vm

HERE = pathlib.Path(__file__).resolve().parent
DISK = debian.Disk("stress", debian.PACKAGES + """python3 libpython3.13-testsuite python3-cryptography
    python3-cryptography-vectors openssl-provider-fips openssl-provider-legacy stress-ng g++ libc-bin""".split(), 4 << 30,
    # Graphics that stress-ng links with and never starts here.
    "usr/lib/*/libLLVM* usr/lib/*/libgallium* usr/lib/*/libz3*".split())

# name, what kind, seconds it may take, what the guest's bash runs
Job = collections.namedtuple("Job", "name kind limit command")

LEVELS = ("-O0", "-O2", "-O3")
FLAGS = "-march=rv64gc -mabi=lp64d -fno-pie -fno-asynchronous-unwind-tables".split()

# Test modules of python3 that cannot succeed in this guest, whatever its processor does.
NOT_PYTHON = {
    "GUI or another OS": "android apple idle tkinter ttk ttk_textonly turtle tcl msvcrt winapi winconsoleio winreg winsound "
                         "wmi startfile launcher osx_env _osx_support kqueue devpoll curses",
    "the internet": "smtpnet urllib2net urllibnet",
    "python's sources, pip or wheels": "tools clinic peg_generator ensurepip venv cext cppext asdl_parser generated_cases "
                                       "embed regrtest sysconfig",
    "gdb, dtrace, perf": "gdb dtrace perf_profiler perfmaps external_inspection",
    "a terminal's speed, or gigabytes": "pyrepl repl bigmem bigaddrspace zipfile64 largefile readline",
}
# Long ones; the rest may take LIMIT_S.
SLOW = "asyncio multiprocessing_fork multiprocessing_forkserver multiprocessing_spawn concurrent_futures io decimal re " \
       "compileall pickle tarfile zipfile statistics unicodedata codecs buffer subprocess tokenize socket".split()
LIMIT_S = 1200

STRESS_SECONDS = 4


def python_jobs():
    deb = next(deb for deb in vm.fetched("debs", *DISK.packages) if "/libpython3.13-testsuite_" in deb)
    listing = debian.run("dpkg-deb", "-c", deb).decode()
    modules = set(re.findall(r"/python3\.13/test/test_(\w+)(?:\.py|/__init__\.py)$", listing, re.M))
    for skipped in NOT_PYTHON.values():
        modules -= set(skipped.split())
    for name in sorted(modules):
        yield Job(f"python/{name}", "python", LIMIT_S * (3 if name in SLOW else 1), f"python3 -m test -W test_{name}")


def openssl_jobs():
    for part in ("hashes", "ciphers", "gcm", "rsa", "ecdsa", "ed25519"):
        yield Job(f"openssl/{part}", "openssl", 600, f"python3 /test/vectors.py {part}")
    # The FIPS module refuses to start unless all its known answers come out right.
    yield Job("openssl/fips", "openssl", 600,
              "openssl fipsinstall -module /usr/lib/riscv64-linux-gnu/ossl-modules/fips.so -out /tmp/fips.$$")
    yield Job("openssl/digest", "openssl", 600,
              "for i in 1 2 3; do head -c 30000000 /dev/zero | openssl dgst -sha256; done | uniq | grep -q "
              + hashlib.sha256(bytes(30000000)).hexdigest())
    # Signs and verifies as often as it can; complains of each bad signature.
    for algorithm in ("sha256", "sha512", "-evp aes-128-gcm", "-evp chacha20-poly1305", "rsa2048", "ecdsap256", "ecdhx25519",
                      "ed25519", "ffdh2048"):
        yield Job(f"openssl/speed-{algorithm.split()[-1]}", "openssl", 300,
                  f"set -o pipefail; openssl speed -seconds 1 {algorithm} 2>&1 | tee /tmp/speed.$$ && "
                  "! grep -iE 'failure|:error:|unknown algorithm' /tmp/speed.$$")


def stress_ng_jobs():
    options = f"--verify --timeout {STRESS_SECONDS} --metrics-brief --oom-avoid --temp-path /tmp"
    for name in ("cpu", "memory", "vm", "signal"):
        yield Job(f"stress-ng/{name}", "stress-ng", 3600, f"stress-ng --class {name} --sequential 2 {options}")
    forks = "fork vfork vforkmany clone exec daemon zombie spawn pthread procfs context switch futex".split()
    for name in forks:
        yield Job(f"stress-ng/{name}", "stress-ng", 300, f"stress-ng --{name} 2 {options}")


def sources():
    """{name of a source file in the guest: where it is}"""
    found = sorted((vm.ROOT / "src").glob("**/*.c")) + sorted((vm.ROOT / "bench/guest").glob("*.c"))
    return {str(path.relative_to(vm.ROOT)).replace("/", "-")[:-2]: path for path in found}


def compile_jobs():
    for stem in sources():
        text = " ".join(FLAGS)
        steps = "; ".join(f"gcc {text} {level} -S -o $d/{stem}{level}.s inputs/{stem}.i && "
                          f"gcc -c -o $d/{stem}{level}.o $d/{stem}{level}.s" for level in LEVELS)
        yield Job(f"gcc/{stem}", "compile", 900,
                  f"cd /tmp; d=$(mktemp -d); {steps}; cd $d; sha256sum -c --quiet --strict /tmp/inputs/{stem}.sums && "
                  f"rm -r $d || {{ mkdir -p /root/wrong; mv $d/{stem}* /root/wrong; exit 1; }}")


def all_jobs():
    return [*python_jobs(), *openssl_jobs(), *stress_ng_jobs(), *compile_jobs()]


def passes(name, code):
    """Whether exit code @code of job @name is good. python3 -m test: 4 is "all skipped"; stress-ng: 3 to 5 are "not
    enough of something", "not here", "skipped"."""
    return code == 0 or (name.startswith("python/") and code == 4) or (name.startswith("stress-ng/") and code in (3, 4, 5))


def files():
    return {"vectors.py": (HERE / "vectors.py").read_bytes()}


def compiled(stem, path, tools, folder):
    """Preprocesses @path for the guest, and compiles it natively; returns {file name: bytes}, empty where a header is
    not on this host."""
    source = folder / f"{stem}.i"
    # Headers of libraries do not depend on the processor enough to matter: text goes in, text must come out.
    steps = [["riscv64-linux-gnu-gcc", "-E", "-P", "-std=gnu17", f"-I{vm.ROOT}/src", f"-I{vm.ROOT}/include",
              "-D_GNU_SOURCE", "-idirafter", "/usr/include", "-o", source, path]]
    for level in LEVELS:
        assembly = f"inputs/{stem}{level}.s"
        steps.append([tools / "cc1", "-quiet", "-fpreprocessed", *FLAGS, level, f"inputs/{stem}.i", "-o", assembly])
        steps.append([tools / "as", "-march=rv64gc", "-mabi=lp64d", "-o", f"inputs/{stem}{level}.o", assembly])
    for step in steps:
        if subprocess.run(step, cwd=folder.parent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode:
            return {}  # written for another processor, too
    sums = ""
    for level in LEVELS:
        for file in (folder / f"{stem}{level}.s", folder / f"{stem}{level}.o"):
            sums += f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
    return {source.name: source.read_bytes(), f"{stem}.sums": sums.encode()}


def inputs(log_dir, names):
    """(A tar of what the guest compiles in jobs @names and of the digests of what must come out, the jobs that this
    host cannot preprocess the source for)."""
    tools = pathlib.Path(vm.fetched("compiler")[0])
    folder = log_dir / "inputs"
    folder.mkdir(exist_ok=True)
    wanted = {stem: path for stem, path in sources().items() if f"gcc/{stem}" in names}
    out, without = io.BytesIO(), set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool, tarfile.open(fileobj=out, mode="w") as tar:
        made = pool.map(lambda stem: compiled(stem, wanted[stem], tools, folder), wanted)
        for stem, found in zip(wanted, made):
            if not found:
                without.add(f"gcc/{stem}")
            for name, body in found.items():
                entry = tarfile.TarInfo(f"inputs/{name}")
                entry.size, entry.mode = len(body), 0o644
                tar.addfile(entry, io.BytesIO(body))
    return out.getvalue(), without


def keep_wrong(disk, folder):
    """What gcc made that should have been another; beside it lies in inputs/ what it should have been."""
    folder.mkdir(exist_ok=True)
    debian.debugfs(disk, f"rdump /root/wrong {folder}")
