# What the guest of migrate.py does: checks its memory and its disk, pings, and talks TCP, inside and to the host at $PORT;
# then a command a line of the console.
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
memory() {
    n=0
    while :; do
        head -c 6m /dev/urandom >/tmp/m$1; s=$(sha256sum </tmp/m$1)
        for k in 1 2 3; do
            cat /tmp/m$1 >/tmp/n$1; [ "$(sha256sum </tmp/n$1)" = "$s" ] || echo BAD memory $1
        done
        n=$((n+1)); echo $n >/tmp/count.m$1
    done
}
disk() {
    n=0; head -c 1m /dev/urandom >/tmp/d
    while :; do
        dd if=/tmp/d of=/dev/vda bs=64k seek=$((n % 8 * 16)) count=16 oflag=direct 2>/dev/null || echo BAD write
        dd if=/dev/vda bs=64k skip=$((n % 8 * 16)) count=16 iflag=direct 2>/dev/null | cmp - /tmp/d || echo BAD disk
        n=$((n+1)); echo $n >/tmp/count.d
    done
}
inside() { # one connection, for ever
    nc -l -p 7000 | awk '{ if ($1 != NR) print "BAD tcp"; if (NR % 50 == 0) { print NR >"/tmp/count.t"; close("/tmp/count.t") } }' &
    n=0; while :; do n=$((n+1)); echo $n; usleep 2000; done | nc 10.0.2.15 7000; echo BAD tcp ended
}
outside() { # connections to this host, each until it is reset
    n=0; while :; do while echo x; do usleep 50000; done | nc 10.0.2.2 $PORT >/dev/null; n=$((n+1)); echo $n >/tmp/count.o; done
}
memory 1 & memory 2 & disk & inside & outside &
ping 10.0.2.2 >/tmp/ping &
echo 0 >/tmp/count.o
stty -echo
echo guest: up
while read -r line; do eval "$line"; echo "done: $line"; done
