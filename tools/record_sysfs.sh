#!/bin/sh
# Records what Vireo reads of this host (processors, memory, nodes, limits, PCI devices, IOMMUs), and what
# lscpu, hwloc and lspci read besides, as text on standard output, for tests to replay
# (tests/platform/tree.h). Needs no more than busybox, and no rights. No names of hosts or interfaces that a
# user gave, no serial numbers, no addresses of network cards.
#
#   record_sysfs.sh [ROOT] >FILE        ROOT: the directory that holds sys/ and proc/; default /
#
# One line an entry, fields apart by tabs: t PATH TEXT (a file; \n, \t and \\ escaped), b PATH HEX (a
# file with bytes), e PATH (a file that is written, or only has to be there), l PATH TARGET (a link),
# d PATH (a directory).
set -eu
cd "${1:-/}"
IFS='
'

# Paths of texts; `contents` below reads them all in one process, since a host has many.
text() { for file; do if [ -f "$file" ] && [ -r "$file" ]; then printf 't\t%s\n' "$file"; fi; done; }
written() { for file; do if [ -e "$file" ]; then printf 'e\t%s\n' "$file"; fi; done; }
link() { for file; do if [ -L "$file" ]; then printf 'l\t%s\t%s\n' "$file" "$(readlink "$file")"; fi; done; }

contents() {
    awk -F '\t' '
        $1 != "t" { print; next }
        {
            text = ""
            while ((got = (getline line <$2)) > 0) {
                # Of each processor: what identifies it, not its hundreds of features.
                if ($2 == "proc/cpuinfo" && line !~ /^(processor|vendor_id|cpu family|model|stepping|physical id|siblings|core id|cpu cores|CPU (implementer|architecture|variant|part|revision)|hart|isa|mmu|$)/) {
                    continue
                }
                if ($2 == "proc/self/cgroup" && line !~ /^0::/) {
                    continue
                }
                gsub(/\\/, "&&", line)
                gsub(/\t/, "\\\\t", line)
                text = text line "\\n"
            }
            close($2)
            if (got == 0) {
                print "t\t" $2 "\t" text
            }
        }'
}

device() { # its real directory
    text "$1/vendor" "$1/device" "$1/class" "$1/subsystem_vendor" "$1/subsystem_device" \
        "$1/revision" "$1/irq" "$1/numa_node" "$1/boot_vga" "$1/driver_override" "$1/resource" \
        "$1/reset_method" "$1/mem_info_vram_total" "$1"/sriov_*
    written "$1/reset"
    [ ! -r "$1/config" ] ||
        printf 'b\t%s\t%s\n' "$1/config" "$(od -A n -v -N 64 -t x1 "$1/config" | tr -d ' \n')"
    link "$1/driver" "$1/iommu_group" "$1/iommu" "$1/physfn" "$1"/virtfn*
    for net in "$1"/net/* "$1"/virtio*/net/*; do
        text "$net/operstate"
    done
}

pci() {
    for dev in sys/bus/pci/devices/*; do
        [ -L "$dev" ] || continue
        target=$(readlink "$dev")
        link "$dev"
        device "sys/${target#../../../}"
    done
    for driver in sys/bus/pci/drivers/*; do
        [ -d "$driver" ] || continue
        printf 'd\t%s\n' "$driver"
        written "$driver/bind" "$driver/unbind"
    done
    written sys/bus/pci/drivers_probe
    for group in sys/kernel/iommu_groups/*; do
        [ -d "$group" ] || continue
        text "$group/type" "$group/name" "$group/reserved_regions"
        link "$group"/devices/*
    done
    for iommu in sys/class/iommu/*; do
        link "$iommu"
    done
    for type in sys/class/mdev_bus/*/mdev_supported_types/*; do
        text "$type/name" "$type/description" "$type/device_api" "$type/available_instances"
    done
}

processors() {
    dir=sys/devices/system/cpu
    text $dir/online $dir/possible $dir/present $dir/kernel_max sys/devices/cpu_atom/cpus sys/devices/cpu_core/cpus
    for cpu in $dir/cpu[0-9]*; do
        [ -d "$cpu" ] || continue
        text "$cpu/online" "$cpu/cpu_capacity"
        for name in core_id physical_package_id die_id cluster_id thread_siblings thread_siblings_list core_siblings \
            core_siblings_list core_cpus package_cpus die_cpus cluster_cpus; do
            text "$cpu/topology/$name"
        done
        for cache in "$cpu"/cache/index*; do
            for name in level type size coherency_line_size ways_of_associativity number_of_sets \
                physical_line_partition shared_cpu_list shared_cpu_map id; do
                text "$cache/$name"
            done
        done
    done
}

memory() {
    text proc/meminfo sys/kernel/mm/transparent_hugepage/enabled
    for size in sys/kernel/mm/hugepages/*; do
        text "$size/nr_hugepages" "$size/free_hugepages"
    done
    dir=sys/devices/system/node
    text $dir/online $dir/possible $dir/has_cpu $dir/has_memory
    for node in $dir/node[0-9]*; do
        text "$node/cpulist" "$node/cpumap" "$node/distance" "$node/meminfo"
        for size in "$node"/hugepages/*; do
            text "$size/nr_hugepages" "$size/free_hugepages"
        done
    done
}

# The group of this process and those above it (cgroup v2, alone or beside version 1).
limits() {
    text proc/self/cgroup
    for mount in sys/fs/cgroup sys/fs/cgroup/unified; do
        [ -e "$mount/cgroup.controllers" ] || continue
        written "$mount/cgroup.procs"
        text "$mount/cgroup.controllers"
        group=$(sed -n 's/^0:://p' proc/self/cgroup)
        while :; do
            text "$mount$group/cpu.max" "$mount$group/memory.max" "$mount$group/memory.current"
            [ -n "${group%/}" ] || break
            group=${group%/*}
        done
    done
}

system() {
    text etc/os-release usr/lib/os-release proc/sys/kernel/osrelease proc/sys/kernel/arch proc/cpuinfo
}

echo "# vireo sysfs 2: $(uname -srm)"
{
    pci
    processors
    memory
    limits
    system
} | contents
