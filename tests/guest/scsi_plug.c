/*
 * SCSI disks that come and go under a Debian kernel's virtio_scsi and sd_mod, and discs that are
 * changed in a drive. Through the public interface alone. Prints TAP.
 *
 *     scsi_plug KERNEL INITRAMFS FOLDER     FOLDER: where images are made
 */
#include "guest.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 20, IMAGE_BYTES = 1 << 20 };

static bool start(struct guest *g, char **argv)
{
    const struct guest_setting settings[] = {
        {"kernel", argv[1]}, {"initrd", argv[2]}, {"append", "quiet"}, {"cpus", "2"},
        {"memory", "256M"},  {"cdrom", "none"},   {NULL, NULL},
    };
    return guest_start(g, settings) && guest_expect(g, "~ # ", 1) &&
           guest_type(g, "modprobe -a sd_mod sr_mod; U=/sys/bus/scsi/devices/0:0:1:0\n") &&
           guest_expect(g, "~ # ", 2);
}

static bool make_image(const char *path, const char *text)
{
    FILE *f = fopen(path, "wbe");
    bool ok = f && fwrite(text, 1, strlen(text), f) == strlen(text) &&
              fseek(f, IMAGE_BYTES - 1, SEEK_SET) == 0 && fputc(0, f) == 0;
    return f && fclose(f) == 0 && ok;
}

static bool image_says(const char *path, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(path, "rbe");
    bool ok = f && fseek(f, 4096, SEEK_SET) == 0 && fread(got, 1, sizeof(got) - 1, f) > 0;
    if (f) {
        (void)fclose(f);
    }
    ok = ok && strncmp(got, text, strlen(text)) == 0;
    if (!ok) {
        printf("# the image says '%s', not '%s'\n", got, text);
    }
    return ok;
}

static bool failed(const struct vr_error *err)
{
    printf("# %s\n", err->msg);
    return false;
}

/* A disk comes, is written to, and goes. */
static bool plug_round(struct guest *g, const char *image, unsigned round)
{
    struct vr_error err;
    char line[400], said[32], wrote[32];
    unsigned target = 0;
    if (vireo_vm_scsi_add(g->vm, image, &target, &err) < 0) {
        return failed(&err);
    }
    snprintf(line, sizeof(line),
             "while ! D=$(ls $U/block 2>/dev/null) || [ ! -b /dev/$D ]; do :; done; "
             "until echo round-%u | dd of=/dev/$D bs=4096 seek=1 conv=sync,fsync 2>/tmp/e; do "
             "cat /tmp/e; done; "
             "echo wrote-$((%u+1000))\n",
             round, round);
    snprintf(said, sizeof(said), "wrote-%u", round + 1000);
    if (target != 1 || !guest_type(g, line) || !guest_expect(g, said, 1)) {
        return false;
    }
    if (vireo_vm_scsi_remove(g->vm, 1, &err) < 0) {
        return failed(&err);
    }
    snprintf(line, sizeof(line), "while [ -e $U ]; do :; done; echo gone-$((%u+1000))\n", round);
    snprintf(said, sizeof(said), "gone-%u", round + 1000);
    snprintf(wrote, sizeof(wrote), "round-%u\n", round);
    return guest_type(g, line) && guest_expect(g, said, 1) && image_says(image, wrote);
}

/* Another disc in the drive; the guest reads what is on it. */
static bool change_disc(struct guest *g, const char *path, const char *says)
{
    struct vr_error err;
    if (vireo_vm_cdrom_change(g->vm, 0, path, &err) < 0) {
        return failed(&err);
    }
    return guest_type(g, "while ! head -c 9 /dev/sr0 2>/dev/null | grep disc; do :; done\n") &&
           guest_expect(g, says, 1);
}

static bool steps(struct guest *g, char **argv)
{
    char disk[512], one[512], two[512];
    snprintf(disk, sizeof(disk), "%s/disk", argv[3]);
    snprintf(one, sizeof(one), "%s/one", argv[3]);
    snprintf(two, sizeof(two), "%s/two", argv[3]);
    bool ok =
        make_image(disk, "") && make_image(one, "disc-one\n") && make_image(two, "disc-two\n");
    if (!result(ok && start(g, argv), "a guest with an empty drive")) {
        return false;
    }
    for (unsigned round = 0; ok && round < ROUNDS; round++) {
        ok = plug_round(g, disk, round);
    }
    if (!result(ok, "a disk comes, is written to, and goes, 20 times")) {
        return false;
    }
    ok = change_disc(g, one, "\ndisc-one") && change_disc(g, two, "\ndisc-two");
    if (!result(ok, "discs are changed in the drive")) {
        return false;
    }
    ok = guest_type(g, "dmesg | grep -ciE 'i/o error|sense key|oops' | sed s/^/errors-/\n") &&
         guest_expect(g, "errors-0", 1) && guest_type(g, "poweroff -f\n") &&
         guest_ended(g, VIREO_END_POWEROFF, 0);
    return result(ok, "the kernel has no complaint, and the guest ends well");
}

int main(int argc, char **argv)
{
    static struct guest g = GUEST("anna");
    if (argc != 4) {
        fprintf(stderr, "usage: scsi_plug KERNEL INITRAMFS FOLDER\n");
        return 2;
    }
    bool ok = steps(&g, argv);
    vireo_vm_destroy(g.vm);
    return results_end(ok);
}
