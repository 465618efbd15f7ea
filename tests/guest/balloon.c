/*
 * A Debian kernel's virtio_balloon and this process's own memory: what the guest gives up is gone
 * from here. Through the public interface alone. Prints TAP.
 *
 *     balloon KERNEL INITRAMFS
 */
#include "guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIB UINT64_C(1048576)

enum { SOME = 200 }; /* MiB that the guest takes and gives back */

static bool start(struct guest *g, char **argv, const char *balloon)
{
    const struct guest_setting settings[] = {
        {"kernel", argv[1]}, {"initrd", argv[2]},  {"append", "quiet"},
        {"memory", "512M"},  {"balloon", balloon}, {NULL, NULL},
    };
    return guest_start(g, settings) && guest_expect(g, "~ # ", 1);
}

/* Guest memory that this process has from the host now, in MiB. */
static long mine(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[200];
    long kib = -1;
    while (status && fgets(line, sizeof(line), status)) {
        (void)sscanf(line, "RssShmem: %ld kB", &kib);
    }
    if (status) {
        fclose(status);
    }
    return kib < 0 ? -1 : kib >> 10;
}

/* Wait until this process has at most @most MiB of guest memory. */
static bool shrinks_to(long most)
{
    long now = mine();
    for (unsigned tries = 0; tries < 3000 && now > most; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        now = mine();
    }
    printf("# %ld MiB of guest memory, %ld expected\n", now, most);
    return now >= 0 && now <= most;
}

/* Wait until the driver says that so much is in the balloon (or, @any, anything but it). */
static bool holds(struct guest *g, uint64_t bytes, bool any)
{
    struct vireo_balloon b = {0};
    struct vr_error err;
    for (unsigned tries = 0; tries < 3000; tries++) {
        if (vireo_vm_balloon_get(g->vm, &b, &err) < 0) {
            printf("# %s\n", err.msg);
            return false;
        }
        if ((b.actual_bytes == bytes) != any) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    printf("# %" PRIu64 " MiB are in the balloon\n", b.actual_bytes >> 20);
    return false;
}

static bool set(struct guest *g, uint64_t bytes)
{
    struct vr_error err;
    bool ok = vireo_vm_balloon_set(g->vm, bytes, &err) == 0;
    if (!ok) {
        printf("# %s\n", err.msg);
    }
    return ok;
}

/* The guest uses memory, and frees it again. */
static bool uses_some(struct guest *g, unsigned round)
{
    char done[32];
    snprintf(done, sizeof(done), "used-%u", 100 + round);
    return guest_type(g, "dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null; rm /big; ") &&
           guest_type(g, round == 1   ? "echo used-$((99+2))\n"
                         : round == 2 ? "echo used-$((99+3))\n"
                                      : "echo used-$((99+4))\n") &&
           guest_expect(g, done, 1);
}

static bool statistics(struct guest *g, uint64_t *ret_free)
{
    struct vireo_balloon b;
    struct vr_error err;
    if (vireo_vm_balloon_ask(g->vm, GUEST_LONG_S * UINT64_C(1000000000), &err) < 0 ||
        vireo_vm_balloon_get(g->vm, &b, &err) < 0) {
        printf("# %s\n", err.msg);
        return false;
    }
    uint32_t want = 1u << VIREO_BALLOON_MAJOR_FAULTS | 1u << VIREO_BALLOON_MINOR_FAULTS |
                    1u << VIREO_BALLOON_FREE_BYTES | 1u << VIREO_BALLOON_TOTAL_BYTES |
                    1u << VIREO_BALLOON_AVAILABLE_BYTES | 1u << VIREO_BALLOON_CACHE_BYTES;
    *ret_free = b.stat[VIREO_BALLOON_FREE_BYTES];
    printf("# total %" PRIu64 ", free %" PRIu64 ", available %" PRIu64 ", cache %" PRIu64
           " MiB; known 0x%x\n",
           b.stat[VIREO_BALLOON_TOTAL_BYTES] >> 20, *ret_free >> 20,
           b.stat[VIREO_BALLOON_AVAILABLE_BYTES] >> 20, b.stat[VIREO_BALLOON_CACHE_BYTES] >> 20,
           b.stats_known);
    return (b.stats_known & want) == want && b.stat[VIREO_BALLOON_TOTAL_BYTES] <= 512 * MIB &&
           b.stat[VIREO_BALLOON_TOTAL_BYTES] > 400 * MIB && *ret_free < 500 * MIB &&
           b.stat[VIREO_BALLOON_MINOR_FAULTS] > 100 && b.stats_ns != 0;
}

static bool by_target(struct guest *g, char **argv)
{
    uint64_t free_before = 0, free_after = 0;
    bool ok = start(g, argv, "reporting=off") && uses_some(g, 1);
    long before = mine();
    printf("# %ld MiB of guest memory after use\n", before);
    if (!result(ok && before >= SOME, "what a guest used stays, when nobody asks")) {
        return false;
    }
    if (!result(statistics(g, &free_before), "the guest's statistics")) {
        return false;
    }
    ok = guest_type(
             g, "head -c 8388608 /dev/urandom >/keep; sha256sum </keep >/sum; echo kep$((1))\n") &&
         guest_expect(g, "kep1", 1) && set(g, 300 * MIB) && holds(g, 300 * MIB, false) &&
         shrinks_to(before + 8 - SOME * 3 / 4);
    if (!result(ok, "a balloon of 300 MiB: the memory is gone from this process")) {
        return false;
    }
    ok = statistics(g, &free_after) && free_before - free_after > 250 * MIB &&
         free_before - free_after < 350 * MIB;
    if (!result(ok, "and the guest has so much less")) {
        return false;
    }
    ok = set(g, 100 * MIB) && holds(g, 100 * MIB, false) && uses_some(g, 2) &&
         guest_type(g, "sha256sum </keep | cmp - /sum && echo sa$((1))e\n") &&
         guest_expect(g, "sa1e", 1);
    if (!result(ok, "deflated, the guest uses it again, and what it kept is as it was")) {
        return false;
    }
    ok = set(g, 330 * MIB) && holds(g, 330 * MIB, false) && uses_some(g, 3) &&
         holds(g, 330 * MIB, true);
    if (!result(ok, "out of memory, it takes pages out of the balloon by itself")) {
        return false;
    }
    ok = set(g, 0) && holds(g, 0, false) && guest_type(g, "poweroff -f\n") &&
         guest_ended(g, VIREO_END_POWEROFF, 0);
    return result(ok, "the guest ends well");
}

static bool by_reports(struct guest *g, char **argv)
{
    struct vireo_balloon b;
    bool ok = start(g, argv, "on") && uses_some(g, 1) && shrinks_to(SOME * 3 / 4);
    ok = ok && vireo_vm_balloon_get(g->vm, &b, NULL) == 0 && b.reported_bytes >= SOME * MIB / 2 &&
         b.given_bytes == 0;
    if (!result(ok, "what a guest frees goes back by itself")) {
        return false;
    }
    ok = uses_some(g, 2) && shrinks_to(SOME * 3 / 4) && guest_type(g, "poweroff -f\n") &&
         guest_ended(g, VIREO_END_POWEROFF, 0);
    return result(ok, "again and again");
}

int main(int argc, char **argv)
{
    static struct guest a = GUEST("anna"), b = GUEST("bert");
    if (argc != 3) {
        fprintf(stderr, "usage: balloon KERNEL INITRAMFS\n");
        return 2;
    }
    bool ok = by_target(&a, argv);
    vireo_vm_destroy(a.vm);
    ok = by_reports(&b, argv) && ok;
    vireo_vm_destroy(b.vm);
    return results_end(ok);
}
