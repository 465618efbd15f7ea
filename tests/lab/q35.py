#!/usr/bin/env python3
"""`vireo platform` on a PC with an IOMMU, SR-IOV, two sockets and hot-plugged devices (tests/lab/host.py):
what it says is held against what the emulator says from outside; what it changes, too."""

import json
import os
import shlex

from host import Host, libraries
from tap import Tap

tap = Tap()
DEVICE, EXAMPLE = os.environ["LAB_DEVICE"], os.environ["GIVE_DEVICE"]
IGB, NVME, NVME_VFS, BEHIND, EDU, FAR, HOT, TEACHER = (
    "0000:01:00.0", "0000:02:00.0", "0000:03:00.0", "0000:05:01.0", "0000:05:02.0", "0000:81:00.0", "0000:04:00.0",
    "0000:00:1d.0")
DEVICES = "/sys/bus/pci/devices"


def by_address(host, part="pci"):
    return {device["address"]: device for device in host.json(part)}


def functions(host):
    """Which functions the kernel has."""
    return set(host.run(f"ls {DEVICES}").split())


def driver(host, device):
    return host.run(f"basename $(readlink {DEVICES}/{device}/driver)").strip()


def platform(host, *words):
    return host.run(shlex.join(["vireo", "platform", *words]))


def refused(host, *words, says):
    """The command fails with one line that holds @says; what it had said before."""
    code, out, err = host.try_run(shlex.join(["vireo", "platform", *words]))
    assert code not in (0, 126, 127) and code < 128, f"exit code {code}: {out}{err}"
    assert says in err, err
    return out


def until(host, condition):
    """Wait until the kernel has done what it was told."""
    host.run(f"timeout 60 sh -c {shlex.quote(f'until {condition}; do usleep 5000; done')}")


def same_devices(host):
    mine, theirs = by_address(host), host.plugged()
    assert set(mine) == set(theirs), set(mine) ^ set(theirs)
    for where, device in theirs.items():
        one, ids, said = mine[where], mine[where]["ids"], device["id"]
        assert (ids["vendor"], ids["device"]) == (said["vendor"], said["device"]), (one, device)
        assert ids["class"] >> 8 == device["class_info"]["class"], (one, device)
        if "pci_bridge" not in device:
            wanted = (said.get("subsystem-vendor", 0), said.get("subsystem", 0))
            assert (ids["subsystem_vendor"], ids["subsystem"]) == wanted, (one, device)
        bars = {bar["bar"]: bar for bar in one["bars"]}
        regions = {region["bar"]: region for region in device["regions"] if region["bar"] < 6}
        assert set(bars) == set(regions), (bars, regions)
        for index, region in regions.items():
            assert bars[index]["size_bytes"] == region["size"], (bars[index], region)
            assert region["address"] in (-1, bars[index]["start"]), (bars[index], region)
            assert bars[index]["kind"] == ("io" if region["type"] == "io" else
                                           "mem64" if region["mem_type_64"] else "mem32"), (bars[index], region)
    return mine


with Host("q35", files=[f"{DEVICE}:bin/device", *libraries(DEVICE), f"{EXAMPLE}:bin/give_device",
                        *libraries(EXAMPLE)]) as host:
    print(f"# the host was there after {host.boot_s:.1f} s", flush=True)

    with tap.test("processors and memory are those that the emulator was told to make"):
        cpu, memory = host.json("cpu"), host.json("memory")
        assert (cpu["count"], cpu["packages"], cpu["threads_per_core"]) == (4, 2, 2), cpu
        assert [(c["package"], c["node"]) for c in cpu["list"]] == [(0, 0), (0, 0), (1, 1), (1, 1)], cpu["list"]
        assert cpu["virtualization"] == {"name": "SVM", "present": True, "nested_paging": True}, cpu["virtualization"]
        assert [(n["id"], n["cpu_count"]) for n in memory["nodes"]] == [(0, 2), (1, 2)], memory
        assert 300 << 20 < memory["nodes"][0]["total_bytes"] < 384 << 20
        assert 200 << 20 < memory["nodes"][1]["total_bytes"] < 256 << 20

    with tap.test("huge pages that are set aside are counted"):
        host.run("echo 5 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
        pages = [h for h in host.json("memory")["huge_pages"] if h["page_bytes"] == 2 << 20]
        assert pages == [{"page_bytes": 2 << 20, "total": 5, "free": 5}], pages
        host.run("echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")

    with tap.test("a cgroup's share and limit are respected"):
        group = "/sys/fs/cgroup/small"
        host.run(f"echo '+cpu +memory' >/sys/fs/cgroup/cgroup.subtree_control; mkdir {group};"
                 f"echo '150000 100000' >{group}/cpu.max; echo 64M >{group}/memory.max")
        said = json.loads(host.run(f"echo $$ >{group}/cgroup.procs; vireo platform --json"))
        assert (said["cpu"]["quota_milli"], said["cpu"]["usable_count"]) == (1500, 2), said["cpu"]
        assert said["memory"]["limit_bytes"] == 64 << 20 and said["memory"]["limit_used_bytes"] > 0

    with tap.test("each PCI device is told as the emulator plugged it in"):
        mine = same_devices(host)
        assert mine[FAR]["numa_node"] == 1 and mine[NVME]["numa_node"] == -1, mine[FAR]
        assert {mine[d]["driver"] for d in (NVME, NVME_VFS, FAR)} == {"nvme"} and mine[IGB]["driver"] == "igb"
        assert [g["address"] for g in host.json("gpu")] == ["0000:00:02.0"]

    with tap.test("IOMMU groups are the kernel's"):
        iommu = host.json("iommu")
        assert iommu["kind"] == "Intel VT-d"
        listed = host.run("cd /sys/kernel/iommu_groups; for d in */devices/*; do echo $d; done").split()
        theirs = sorted((int(line.split("/")[0]), line.split("/")[2]) for line in listed)
        assert sorted((g["group"], d) for g in iommu["groups"] for d in g["devices"]) == theirs and len(theirs) > 15

    for what, physical, names, total, vf_driver in (
            ("igb", IGB, [f"0000:01:10.{2 * i}" for i in range(4)] + [f"0000:01:11.{2 * i}" for i in range(3)], 7, "igbvf"),
            ("NVMe", NVME_VFS, [f"0000:03:00.{i}" for i in range(1, 5)], 4, None)):
        with tap.test(f"{what}: virtual functions are made, counted again and deleted"):
            before = functions(host)
            platform(host, "sriov", "create", physical, "2")
            assert functions(host) - before == set(names[:2])
            mine = by_address(host, "sriov")
            assert (mine[physical]["sriov"]["total"], mine[physical]["sriov"]["count"]) == (total, 2), mine[physical]
            assert [mine[name]["sriov"]["physfn"] for name in names[:2]] == [physical] * 2
            if vf_driver:
                assert {mine[name]["driver"] for name in names[:2]} == {vf_driver}, mine
            refused(host, "sriov", "create", physical, "1", says="has 2 virtual functions")
            refused(host, "sriov", "set", physical, str(total + 1), says=f"{total} virtual functions, not {total + 1}")
            platform(host, "sriov", "set", physical, str(total))
            assert functions(host) - before == set(names)
            assert host.read(f"{DEVICES}/{physical}/sriov_numvfs") == str(total)
            platform(host, "sriov", "set", physical, "1")
            assert functions(host) - before == set(names[:1])
            platform(host, "sriov", "delete", physical)
            assert functions(host) == before and host.read(f"{DEVICES}/{physical}/sriov_numvfs") == "0"

    with tap.test("a device without SR-IOV is refused"):
        refused(host, "sriov", "create", NVME, "1", says="SR-IOV")

    with tap.test("what stands between a device and a guest is said before vfio-pci is there"):
        said = by_address(host)[NVME]
        assert not host.try_run("test -d /sys/bus/pci/drivers/vfio-pci")[0] == 0
        assert any("vfio-pci is not loaded" in why["what"] for why in said["passthrough"]["reasons"]), said
        refused(host, "vfio", "bind", NVME, says="vfio-pci")
        assert driver(host, NVME) == "nvme"
        host.run("modprobe -a vfio-pci vfio_iommu_type1")

    with tap.test("an NVMe disk goes to VFIO and comes back with what is on it"):
        disk = host.run(f"ls {DEVICES}/{NVME}/nvme/*/ | grep -o 'nvme[0-9]*n1'").split()[0]
        assert host.run(f"head -c 24 /dev/{disk}") == "this is disk0 of the lab"
        steps = platform(host, "vfio", "bind", NVME, "--dry-run")
        assert "drivers_probe" in steps and driver(host, NVME) == "nvme"
        platform(host, "vfio", "bind", NVME)
        assert driver(host, NVME) == "vfio-pci"
        group = host.run(f"basename $(readlink {DEVICES}/{NVME}/iommu_group)").strip()
        assert host.run("ls /dev/vfio").split() == [group, "vfio"]
        assert host.try_run(f"test -e /dev/{disk}")[0] == 1
        said = by_address(host)[NVME]
        assert said["driver"] == "vfio-pci" and said["passthrough"]["verdict"] == "ready", said
        platform(host, "vfio", "unbind", NVME)
        assert driver(host, NVME) == "nvme" and host.read(f"{DEVICES}/{NVME}/driver_override") == "(null)"
        until(host, f"[ -b /dev/{disk} ]")
        assert host.run(f"head -c 24 /dev/{disk}") == "this is disk0 of the lab"
        assert host.run("ls /dev/vfio").split() == ["vfio"]

    with tap.test("a network card's function goes to VFIO, the card and its other functions stay"):
        platform(host, "sriov", "create", IGB, "2")
        platform(host, "vfio", "bind", "1:10.0")
        assert driver(host, "0000:01:10.0") == "vfio-pci" and driver(host, "0000:01:10.2") == "igbvf"
        refused(host, "sriov", "delete", IGB, says="0000:01:10.0")
        assert driver(host, "0000:01:10.0") == "vfio-pci"
        platform(host, "vfio", "unbind", "1:10.0")
        assert driver(host, "0000:01:10.0") == "igbvf"
        platform(host, "sriov", "delete", IGB)
        platform(host, "vfio", "bind", IGB)
        assert driver(host, IGB) == "vfio-pci"
        platform(host, "vfio", "unbind", IGB)
        assert driver(host, IGB) == "igb"

    with tap.test("devices behind one bridge go together"):
        host.run("modprobe e1000")
        assert driver(host, BEHIND) == "e1000"
        platform(host, "vfio", "bind", EDU)
        said = by_address(host)[EDU]["passthrough"]
        assert said["verdict"] != "ready" and any(BEHIND in why["what"] for why in said["reasons"]), said
        platform(host, "vfio", "bind", EDU, "--group")
        assert driver(host, BEHIND) == driver(host, EDU) == "vfio-pci"
        assert by_address(host)[EDU]["passthrough"]["verdict"] == "ready"
        platform(host, "vfio", "unbind", EDU, "--group")
        assert driver(host, BEHIND) == "e1000" and host.try_run(f"test -e {DEVICES}/{EDU}/driver")[0] == 1

    with tap.test("a device that is plugged in is seen, and gone when it is pulled"):
        before = functions(host)
        host.monitor("device_add", driver="nvme", id="new", bus="hot", serial="new", drive="spare")
        until(host, f"[ -e {DEVICES}/{HOT}/driver ]")
        assert functions(host) - before == {HOT}
        assert same_devices(host)[HOT]["driver"] == "nvme"
        host.monitor("device_del", id="new")
        host.event("DEVICE_DELETED", device="new")
        until(host, f"! [ -e {DEVICES}/{HOT} ]")
        assert set(by_address(host)) == before
        refused(host, "vfio", "bind", HOT, says="no such PCI device")

    with tap.test("devices are opened, mapped, read, reset, and raise interrupts"):
        platform(host, "sriov", "create", IGB, "1")
        for device in (NVME, FAR, "0000:01:10.0", TEACHER):
            platform(host, "vfio", "bind", device)
            said = platform(host, "vfio", "test", device)
            assert said.endswith("everything worked\n") and "and its eventfd was written" in said, said
            ids = by_address(host)[device]["ids"]
            reads = said.count(f"configuration: ids {ids['vendor']:04x}:{ids['device']:04x}")
            assert reads == (1 if "no reset of the device alone" in said else 2), said
            assert ("no reset" in said) == (device == TEACHER), said
            refused(host, "vfio", "test", device, "--way", "iommufd", says="/dev/iommu is not there")
        for device in (NVME, FAR, "0000:01:10.0"):
            platform(host, "vfio", "unbind", device)
        platform(host, "sriov", "delete", IGB)
        assert driver(host, NVME) == driver(host, FAR) == "nvme"

    with tap.test("what cannot be reset alone is reset with its bus, when all on it is ours"):
        platform(host, "vfio", "bind", BEHIND, "--group")
        for device in (BEHIND, EDU):
            said = platform(host, "vfio", "test", device)
            assert "takes 2 devices, all ours" in said and "after a reset of its bus" in said, said
            assert ("option ROM: read, it begins as one does" in said) == (device == BEHIND), said
        platform(host, "vfio", "unbind", BEHIND, "--group")

    with tap.test("examples/give_device has a disk in its hands and gives it back"):
        # Its library is where the build has it.
        run = f"LD_LIBRARY_PATH={shlex.quote(os.path.dirname(os.path.dirname(EXAMPLE)))} give_device"
        said = host.run(run)
        assert f"{NVME} storage" in said and "(host)" in said and "bind it to vfio-pci" in said, said
        said = host.run(f"{run} {NVME}").splitlines()
        assert said == ["BAR 0: 16384 bytes", "configuration: 4096 bytes", "ids 1b36:0010"], said
        assert driver(host, NVME) == "nvme"

    with tap.test("functions are set one by one, and put back when the driver refuses"):
        def shown():
            return json.loads(host.run(f"vireo platform sriov show {IGB} --json"))["vfs"]

        card = host.run(f"ls {DEVICES}/{IGB}/net").strip()
        host.run(f"ip link set {card} up")
        platform(host, "sriov", "create", IGB, "2")
        until(host, f"[ $(cat /sys/class/net/{card}/operstate) = up ]")  # rates need the link's speed
        first, second = shown()
        assert (first["address"], second["address"]) == ("0000:01:10.0", "0000:01:10.2"), shown()
        assert first["owner"] == "host" and first["driver"] == "igbvf" and first["stats"]["rx_bytes"] >= 0, first
        steps = platform(host, "sriov", "set", "1:10.0", "mac=52:54:00:99:99:01", "vlan=7", "qos=3", "rate=100",
                         "trust=on", "spoofcheck=off", "--dry-run")
        assert len(steps.splitlines()) == 5 and shown()[0]["settings"] == first["settings"], steps
        platform(host, "sriov", "set", "1:10.0", "mac=52:54:00:99:99:01", "vlan=7", "qos=3", "rate=100", "trust=on",
                 "spoofcheck=off")
        wanted = {"mac": "52:54:00:99:99:01", "vlan": 7, "qos": 3, "min_mbps": 0, "max_mbps": 100, "trusted": True,
                  "spoof_check": False, "link": "auto"}
        now = shown()
        assert now[0]["settings"] == wanted and now[1]["settings"] == second["settings"], now
        # This driver sets no link state, and guarantees no rate.
        refused(host, "sriov", "set", "1:10.0", "mac=52:54:00:99:99:02", "link=on", says="(what was done before is undone)")
        refused(host, "sriov", "set", "1:10.0", "rate=10:100", says="does not take this value")
        assert shown()[0]["settings"] == wanted

    with tap.test("a function in a guest's hands goes when it is told to, and the guest is asked"):
        platform(host, "vfio", "bind", "1:10.0")
        assert shown()[0]["owner"] == "vfio"
        platform(host, "vfio", "unbind", "1:10.0")
        host.start("vireo platform vfio hold 1:10.0", "/tmp/held", "is attached")
        assert shown()[0]["owner"] == "guest" and shown()[1]["owner"] == "host", shown()
        refused(host, "sriov", "delete", IGB, says="unbind it first")
        platform(host, "sriov", "delete", IGB, "--force")
        until(host, "grep -q 'is gone' /tmp/held")
        assert "0000:01:10.0 is wanted back" in host.run("cat /tmp/held")
        assert not functions(host) & {"0000:01:10.0", "0000:01:10.2"} and shown() == []

    with tap.test("a device's own interrupts arrive, and it reaches the memory that it was given and no other"):
        said = host.run(f"device edu {TEACHER} group").splitlines()
        assert said[-1] == "closed" and len(said) == 12, said
        faults = [line for line in host.run("dmesg").splitlines() if "DMAR: [DMA" in line]
        # What was taken back. (The emulated IOMMU reports no write to a page that may only be read.)
        assert faults and all("[00:1d.0] fault addr 0x101000 " in line for line in faults), faults
        host.run("dmesg -c >/dev/null")

    with tap.test("a held device is given back when the host wants it"):
        host.start(f"device hold {TEACHER} group", "/tmp/held", "held")
        refused(host, "vfio", "unbind", TEACHER, says="is in use")
        refused(host, "vfio", "test", TEACHER, says="use")
        assert host.run("cat /tmp/held") == "held\n"
        # Who does not look at who uses it, waits: the kernel asks the holder to let go.
        host.run(f"echo {TEACHER} >/sys/bus/pci/drivers/vfio-pci/unbind")
        until(host, "grep -q closed /tmp/held")
        assert host.run("cat /tmp/held") == "held\nthe host wants it back\nclosed\n"

    with tap.test("a held device that is pulled out is given back and goes"):
        host.monitor("device_add", driver="nvme", id="held", bus="hot", serial="held", drive="spare")
        until(host, f"[ -e {DEVICES}/{HOT}/driver ]")
        platform(host, "vfio", "bind", HOT)
        host.start(f"device hold {HOT} group", "/tmp/held", "held")
        host.monitor("device_del", id="held")
        host.event("DEVICE_DELETED", device="held")
        until(host, "grep -q closed /tmp/held")
        assert host.run("cat /tmp/held") == "held\nthe host wants it back\nclosed\n"
        until(host, f"! [ -e {DEVICES}/{HOT} ]")
        assert HOT not in by_address(host)

    with tap.test("KVM and io_uring are judged by what they do"):
        caps = host.json("caps")
        assert not caps["kvm"]["present"] and not caps["accelerated"], caps
        assert caps["io_uring"]["works"], caps
        host.run("modprobe kvm-amd")
        caps = host.json("caps")
        assert caps["kvm"]["works"] and "ran to its end" in caps["kvm"]["detail"] and caps["accelerated"], caps
        # A file of that name is no KVM.
        host.run("mv /dev/kvm /dev/kvm.real; ln -s /dev/zero /dev/kvm; echo 2 >/proc/sys/kernel/io_uring_disabled")
        caps = host.json("caps")
        assert caps["kvm"]["present"] and not caps["kvm"]["works"] and not caps["accelerated"], caps
        assert "does not say its version" in caps["kvm"]["detail"], caps
        assert caps["io_uring"]["present"] and not caps["io_uring"]["works"], caps
        assert "io_uring_disabled" in caps["io_uring"]["detail"], caps
        host.run("rm /dev/kvm; mv /dev/kvm.real /dev/kvm; echo 0 >/proc/sys/kernel/io_uring_disabled")

    with tap.test("the kernel complained of nothing that we did"):
        bad = [line for line in host.run("dmesg").splitlines()
               if any(word in line for word in ("BUG", "Oops", "WARNING", "Call Trace", "DMAR: [DMA"))]
        assert not bad, bad

tap.finish()
