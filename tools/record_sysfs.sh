#!/bin/sh
# Records what Vireo reads of this host's PCI devices and IOMMUs, as text on standard output, for
# tests to replay (tests/platform/tree.h). Needs no more than busybox, and no rights.
#
#   record_sysfs.sh [ROOT] >FILE        ROOT: the directory that holds sys/; default /
#
# One line an entry, fields apart by tabs: t PATH TEXT (a file; \n and \\ escaped), b PATH HEX (a
# file with bytes), e PATH (a file that is written only), l PATH TARGET (a link), d PATH (a directory).
set -eu
cd "${1:-/}"
tab=$(printf '\t')

text() {
    for file; do
        [ -f "$file" ] && [ -r "$file" ] || continue
        said=$(cat "$file" 2>/dev/null && echo .) || continue
        said=${said%.}
        printf 't\t%s\t%s\n' "$file" "$(printf '%s' "$said" | sed 's/\\/\\\\/g' | sed ':a;N;$!ba;s/\n/\\n/g')\\n"
    done
}
written() { for file; do if [ -e "$file" ]; then printf 'e\t%s\n' "$file"; fi; done; }
link() { for file; do if [ -L "$file" ]; then printf 'l\t%s\t%s\n' "$file" "$(readlink "$file")"; fi; done; }

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

echo "# vireo sysfs 1: $(uname -srm)"
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
