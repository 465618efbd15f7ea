#!/bin/sh
# In the guest: uses devices that come and go, as the host says, a line of standard input at a time:
#
#   use ROUND CLASS...   wait for each device, use it, say "=ok CLASS ..." or "=bad CLASS ..."
#   load CLASS...        keep them busy from now on, until they go
#   drop ADDRESS...      take PCI functions out of the kernel (one without a driver for slots)
#   rescan               look for new ones (the same)
#   gone                 wait until none of them is there
#   end
#
# Each is answered by "=done LINE". The disk with serial "cold" stays; it is written and compared all the time.

virtio() { # the device of virtio id $1
    for at in /sys/bus/virtio/devices/*; do
        [ "$(cat "$at/device" 2>/dev/null)" = "$1" ] && [ -e "$at/driver" ] && echo "$at" && return
    done
    return 1
}

disk() { # the disk with serial $1
    for at in /sys/block/vd*; do
        [ "$(cat "$at/serial" 2>/dev/null)" = "$1" ] && echo "/dev/${at##*/}" && return
    done
    return 1
}

sd() { # the SCSI disk with serial $1
    for at in /sys/block/sd*; do
        grep -q "$1" "$at/device/vpd_pg80" 2>/dev/null && [ -b "/dev/${at##*/}" ] && [ "$(cat "$at/size")" -gt 0 ] &&
            echo "/dev/${at##*/}" && return
    done
    return 1
}

nic() { [ -e /sys/class/net/eth0 ] && echo eth0; }

port() {
    for at in /sys/class/virtio-ports/*; do
        [ "$(cat "$at/name" 2>/dev/null)" = hot ] && [ -c "/dev/${at##*/}" ] && echo "/dev/${at##*/}" && return
    done
    return 1
}

is_there() {
    case $1 in
    blk) disk hot ;;
    scsi) sd hot ;;
    lun) sd alone ;;
    net) nic ;;
    console) port ;;
    rng) virtio 0x0004 ;;
    balloon) virtio 0x0005 ;;
    fs) virtio 0x001a ;;
    input) virtio 0x0012 ;;
    watchdog) [ -c /dev/watchdog ] && echo /dev/watchdog ;;
    esac
}

# The first MiB is the host's, the second is made equal to it.
copy_disk() {
    dd if="$1" of="$1" bs=65536 count=16 seek=16 conv=notrunc,fsync 2>/dev/null || return 1
    dd if="$1" bs=65536 count=16 2>/dev/null | md5sum | cut -d ' ' -f 1
}

use_one() { # class $1, device $2, round $3
    case $1 in
    blk | scsi | lun) copy_disk "$2" ;;
    net)
        ip addr flush dev "$2"
        ip link set "$2" up && ip addr add 10.0.2.15/24 dev "$2" && ping -c 2 -W 10 10.0.2.2 | grep -o ' 0% packet loss'
        ;;
    console) echo "round $3" >"$2" && echo written ;;
    rng) dd if=/dev/hwrng bs=64 count=1 2>/dev/null | wc -c ;;
    fs)
        mkdir -p /mnt/hot && mount -t virtiofs hot /mnt/hot && cp /mnt/hot/in /mnt/hot/out &&
            md5sum </mnt/hot/out | cut -d ' ' -f 1
        umount /mnt/hot
        ;;
    balloon | input) echo "${2##*/}" ;;
    watchdog) printf V >"$2" && echo stopped ;;
    esac
}

use() {
    round=$1
    shift
    for class; do
        until at=$(is_there "$class"); do
            usleep 20000
        done
        if said=$(use_one "$class" "$at" "$round" 2>&1) && [ -n "$said" ]; then
            echo "=ok $class $said"
        else
            echo "=bad $class $said"
        fi
    done
}

# What reads from a device ends when that goes.
load() {
    for class; do
        at=$(is_there "$class")
        case $class in
        blk | scsi | lun) while dd if="$at" of=/dev/null bs=65536 count=32 iflag=direct; do :; done >/dev/null 2>&1 & ;;
        net) ping -i 0.01 -s 1000 10.0.2.2 >/dev/null 2>&1 & echo $! >/tmp/ping ;;
        rng) while dd if=/dev/hwrng of=/dev/null bs=64 count=16; do :; done >/dev/null 2>&1 & ;;
        fs)
            mount -t virtiofs hot /mnt/hot
            (while cat /mnt/hot/in >/dev/null; do :; done 2>/dev/null; umount -l /mnt/hot) & ;;
        esac
    done
}

gone() {
    for class in blk scsi lun net console rng balloon fs input watchdog; do
        while is_there "$class" >/dev/null; do
            usleep 20000
        done
    done
    [ ! -e /tmp/ping ] || kill "$(cat /tmp/ping)" 2>/dev/null
    rm -f /tmp/ping
    umount -l /mnt/hot 2>/dev/null
}

cold() {
    at=$(disk cold) || return
    n=0
    while [ ! -e /tmp/stop ]; do
        n=$((n + 1))
        dd if=/dev/urandom of=/tmp/cold bs=65536 count=4 2>/dev/null
        dd if=/tmp/cold of="$at" bs=65536 seek=$((n % 16 * 4)) conv=notrunc,fsync 2>/dev/null
        dd if="$at" bs=65536 skip=$((n % 16 * 4)) count=4 iflag=direct 2>/dev/null | cmp -s - /tmp/cold ||
            echo "=bad cold disk, write $n"
    done
    echo "=cold $n writes compared"
}

stty -echo 2>/dev/null
modprobe -aq virtio_blk virtio_scsi sd_mod virtio_net virtio_rng virtio_balloon virtio_input 2>/dev/null
cold &
echo =ready
while read -r line; do
    set -- $line
    case $1 in
    use) shift && use "$@" ;;
    load) shift && load "$@" ;;
    drop) shift; for at; do echo 1 >"/sys/bus/pci/devices/$at/remove"; done ;;
    rescan) echo 1 >/sys/bus/pci/rescan ;;
    gone) gone ;;
    end) break ;;
    esac
    echo "=done $line"
done
touch /tmp/stop
wait
dmesg -r | grep -E '^<[0-4]>' | grep -E 'BUG|Oops|WARNING|hung|pciehp|leak|Call Trace' | sed 's/^/=dmesg /'
echo =end
