"""Hosts that no developer has at hand, made with QEMU's software emulation, running Debian's stock kernel
with a `vireo` as the program under test: an IOMMU, SR-IOV, hot-plugged devices, NUMA nodes, a processor that
can run guests. No privileges, no hardware.

    with Host("q35") as host:
        said = host.run("vireo platform iommu --json")          # raises when it fails
        host.monitor("device_del", id="hot0")                   # QEMU's own word, from outside

Commands go in and answers come out through a virtio port (see `init`), so nothing waits for texts on a
console, which is kept for the message of a failure. Whoever answers late is a failure, too."""

import base64
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIREO = pathlib.Path(os.environ.get("VIREO", ROOT / "build/vireo"))
FETCH = ROOT / "tools/guest/fetch.sh"
INITRAMFS = ROOT / "tools/guest/initramfs.py"
HERE = pathlib.Path(__file__).resolve().parent


class Failed(AssertionError):
    """A command in the host ended with another code than 0."""


class Kind:
    """What kind of host: processor (QEMU's and Debian's name), board and its devices."""

    def __init__(self, cpu, arch, cpu_args, cmdline, modules, drivers, devices, disks=()):
        self.cpu, self.arch, self.cpu_args, self.cmdline = cpu, arch, cpu_args, cmdline
        self.modules, self.drivers, self.devices, self.disks = modules, drivers, devices, disks


def nvme(name, bus, **more):
    return ["-drive", f"file={{{name}}},if=none,id={name},format=raw", "-device",
            ",".join([f"nvme,serial={name},drive={name},bus={bus}", *(f"{k}={v}" for k, v in more.items())])]


def root_port(name, chassis, bus="pcie.0"):
    return ["-device", f"pcie-root-port,id={name},chassis={chassis},bus={bus}"]


Q35_DEVICES = [
    "-device", "intel-iommu,intremap=on", "-device", "bochs-display,id=gpu,bus=pcie.0,addr=2",
    "-netdev", "user,id=n0,restrict=on",
    *root_port("p1", 1), "-device", "igb,romfile=,netdev=n0,bus=p1,mac=52:54:00:00:00:01",
    *root_port("p2", 2), *nvme("disk0", "p2"),
    *root_port("p3", 3), "-device", "nvme-subsys,id=subsystem0",
    "-device", "nvme,serial=disk1,bus=p3,subsys=subsystem0,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4,"
    "max_ioqpairs=12,msix_qsize=9",
    *root_port("hot", 4),
    # A bridge to conventional PCI: what is behind it shares an IOMMU group.
    "-device", "pcie-pci-bridge,id=old,bus=pcie.0", "-device", "e1000,netdev=n1,bus=old,addr=1", "-netdev",
    "user,id=n1,restrict=on", "-device", "edu,bus=old,addr=2",
    "-device", "edu,bus=pcie.0,addr=1d",
    "-device", "pxb-pcie,id=far0,bus_nr=128,bus=pcie.0,numa_node=1", *root_port("p5", 5, "far0"), *nvme("disk2", "p5"),
    "-drive", "file={spare},if=none,id=spare,format=raw",
]

# Small boards: a disk, a card with SR-IOV, a display.
SMALL = [*root_port("p1", 1), "-netdev", "user,id=n0,restrict=on",
         "-device", "igb,romfile=,netdev=n0,bus=p1,mac=52:54:00:00:00:01", *root_port("p2", 2), *nvme("disk0", "p2"),
         "-device", "bochs-display,romfile="]
DRIVERS = "nvme,igb,igbvf,bochs"


def memory(*sizes):
    """A memory node for each size in MiB, as QEMU's objects, and what they are together."""
    args = ["-m", f"{sum(sizes)}M"]
    for i, size in enumerate(sizes):
        args += ["-object", f"memory-backend-ram,id=mem{i},size={size}M"]
    return args


# no_timer_check: the kernel's first look at its timer counts ticks while it spins, and gives up for good when a busy
# machine had no processor for the emulator just then.
KINDS = {
    # Two sockets of a core with two threads, a memory node each; the second node has a PCI root of its own.
    "q35": Kind(
        "x86_64", "amd64", ["-M", "q35,kernel-irqchip=off", "-cpu", "max",
                            "-smp", "4,sockets=2,cores=1,threads=2", *memory(384, 256),
                            "-numa", "node,nodeid=0,cpus=0-1,memdev=mem0", "-numa", "node,nodeid=1,cpus=2-3,memdev=mem1",
                            "-numa", "dist,src=0,dst=1,val=21"],
        "intel_iommu=on console=ttyS0 tsc=reliable no_timer_check",
        "nvme,igb,igbvf,e1000,bochs,vfio-pci,vfio_iommu_type1,kvm-amd", DRIVERS, Q35_DEVICES,
        ("disk0", "disk2", "spare")),
    # Two sockets of four cores with two threads each, with caches; a node each, and one that has memory only.
    "numa": Kind(
        "x86_64", "amd64", ["-M", "q35", "-cpu", "Cascadelake-Server-noTSX", "-smp", "16,sockets=2,cores=4,threads=2",
                            *memory(256, 192, 64), "-numa", "node,nodeid=0,cpus=0-7,memdev=mem0", "-numa",
                            "node,nodeid=1,cpus=8-15,memdev=mem1", "-numa", "node,nodeid=2,memdev=mem2"],
        "console=ttyS0 tsc=reliable no_timer_check", DRIVERS, DRIVERS, SMALL, ("disk0",)),
    "arm64": Kind(
        "aarch64", "arm64", ["-M", "virt,virtualization=on,gic-version=3,iommu=smmuv3", "-cpu", "max",
                             "-smp", "4,sockets=1,clusters=2,cores=2,threads=1", "-m", "512M"],
        "console=ttyAMA0", DRIVERS + ",vfio-pci,vfio_iommu_type1", DRIVERS, SMALL, ("disk0",)),
    "riscv64": Kind(
        "riscv64", "riscv64", ["-M", "virt,aia=aplic-imsic", "-cpu", "max", "-smp", "4,sockets=2,cores=2,threads=1",
                               *memory(256, 256), "-numa", "node,nodeid=0,cpus=0-1,memdev=mem0",
                               "-numa", "node,nodeid=1,cpus=2-3,memdev=mem1"],
        "console=ttyS0", DRIVERS + ",kvm", DRIVERS, SMALL, ("disk0",)),
}


def fetched(*what):
    done = subprocess.run([str(FETCH), *what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return pathlib.Path(done.stdout.decode().split()[0])


def libraries(program):
    """What the dynamic @program needs, by its loader's own word: "SRC:DST" each."""
    said = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [f"{os.path.realpath(path)}:{path.lstrip('/')}" for path in re.findall(r"(/\S+) \(0x", said)]


class Host:
    """A running host. Use as a context manager; leaving it ends the emulator."""

    def __init__(self, name, program=VIREO, append="", extra=(), deadline_s=170, files=()):
        """@program is `vireo` there (None: there is none); @files are more, "SRC:DST", programs with what
        they need when they are built for this machine."""
        self.kind = KINDS[name]
        self.deadline = time.monotonic() + deadline_s
        self.folder = tempfile.TemporaryDirectory(prefix="vireo-lab-")
        self.path = pathlib.Path(self.folder.name)
        self.initramfs(program, files)
        disks = {}
        for disk in self.kind.disks:
            disks[disk] = self.path / disk
            with open(disks[disk], "wb") as file:
                file.write(f"this is {disk} of the lab\n".encode())
                file.truncate(1 << 20)
        device = [part.format(**disks) for part in self.kind.devices]
        listeners = {what: self.listen(what) for what in ("port", "qmp")}
        self.console = open(self.path / "console", "w+b")
        self.process = subprocess.Popen(
            [str(fetched("qemu10", self.kind.cpu)), *self.kind.cpu_args, "-accel", "tcg,thread=single", "-nodefaults",
             "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", str(self.kernel / "Image"),
             "-initrd", str(self.image), "-append",
             f"{self.kind.cmdline} quiet panic=-1 mitigations=off lab.drivers={self.kind.drivers} {append}".strip(),
             "-device", "virtio-serial-pci", "-chardev", f"socket,id=port,path={self.path}/port",
             "-device", "virtserialport,chardev=port,name=lab",
             "-chardev", f"socket,id=qmp,path={self.path}/qmp", "-mon", "chardev=qmp,mode=control",
             *device, *extra],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=subprocess.STDOUT)
        self.events = []
        self.sockets, self.wires = {}, {}
        try:
            for what, listener in listeners.items():
                listener.settimeout(20)
                self.sockets[what] = listener.accept()[0]
                self.wires[what] = self.sockets[what].makefile("rwb")
                listener.close()
                self.set_timeout(what)
            json.loads(self.line("qmp"))  # the greeting
            self.monitor("qmp_capabilities")
            self.started = time.monotonic()
            said = self.line("port")
            assert said == b"ready 0 0\n", f"the host did not start: {said}\n{self.messages()}"
            self.boot_s = time.monotonic() - self.started
        except BaseException:
            self.__exit__()
            raise

    def initramfs(self, program, files):
        self.kernel = fetched("kernel", *([] if self.kind.arch == "riscv64" else [self.kind.arch]))
        self.image = self.path / "initramfs"
        args = [str(INITRAMFS), "-k", str(self.kernel), "-o", str(self.image), "-i", str(HERE / "init"), "-m", self.kind.modules]
        wanted = [f"{ROOT}/tools/record_sysfs.sh:bin/record_sysfs", *files]
        if program:
            wanted += [f"{program}:bin/vireo", *libraries(program)]
        for pair in dict.fromkeys(wanted):
            args += ["-f", pair]
        subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def listen(self, what):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path / what))
        listener.listen(1)
        return listener

    def set_timeout(self, what):
        self.sockets[what].settimeout(max(1.0, self.deadline - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for wire in [*self.wires.values(), *self.sockets.values()]:
            wire.close()
        self.console.close()
        self.folder.cleanup()

    def messages(self, most=4000):
        """What the kernel and the emulator said on the console."""
        return (self.path / "console").read_text(errors="replace").replace("\r", "")[-most:]

    def line(self, what):
        try:
            got = self.wires[what].readline()
        except (TimeoutError, ConnectionResetError):
            raise AssertionError(f"no answer in time; the console said:\n{self.messages()}") from None
        assert got, f"the host ended (emulator's code {self.process.poll()}); the console said:\n{self.messages()}"
        return got

    def try_run(self, script):
        """Run @script with the host's shell, as root: (exit code, standard output, standard error)."""
        wire = self.wires["port"]
        self.set_timeout("port")
        wire.write(base64.b64encode(script.encode()) + b"\n")
        wire.flush()
        code, out, err = map(int, self.line("port").split())
        return code, wire.read(out).decode(errors="replace"), wire.read(err).decode(errors="replace")

    def run(self, script):
        """The same; standard output, or Failed when it fails or says something on standard error."""
        code, out, err = self.try_run(script)
        if code or err:
            raise Failed(f"{script}: exit code {code}\n{out}{err}\n{self.messages()}")
        return out

    def start(self, command, out, word):
        """Start @command behind us, its words to the file @out, and wait until @word is there. What was there before
        goes first: the shell empties the file when the command's turn comes, and until then it holds the last one's."""
        self.run(f"rm -f {out}; {command} >{out} 2>&1 & until grep -qs {shlex.quote(word)} {out}; do usleep 5000; done")

    def read(self, path):
        return self.run(f"cat {shlex.quote(path)}").strip()

    def json(self, part):
        """The answer of `vireo platform PART --json`."""
        said = json.loads(self.run(f"vireo platform {part} --json"))
        assert list(said) == [part], list(said)
        return said[part]

    def monitor(self, command, **args):
        """A QMP command to the emulator; what it returns."""
        wire = self.wires["qmp"]
        self.set_timeout("qmp")
        wire.write(json.dumps({"execute": command, "arguments": args}).encode() + b"\n")
        wire.flush()
        while True:
            said = json.loads(self.line("qmp"))
            if "event" in said:
                self.events.append(said)
            elif "error" in said:
                raise AssertionError(f"QEMU: {command}: {said['error']['desc']}")
            else:
                return said["return"]

    def plugged(self):
        """The emulator's own list of PCI devices by address. SR-IOV functions that are not made yet have no numbers."""
        found, todo = {}, [device for bus in self.monitor("query-pci") for device in bus["devices"]]
        while todo:
            device = todo.pop()
            todo += device.get("pci_bridge", {}).get("devices", [])
            if device["id"]["vendor"] != 0xffff:
                found[f"0000:{device['bus']:02x}:{device['slot']:02x}.{device['function']}"] = device
        return found

    def event(self, name, **data):
        """Wait until the emulator has said @name with @data."""
        self.set_timeout("qmp")
        while True:
            for i, said in enumerate(self.events):
                if said["event"] == name and data.items() <= said.get("data", {}).items():
                    return self.events.pop(i)
            said = json.loads(self.line("qmp"))
            assert "event" in said, said
            self.events.append(said)
