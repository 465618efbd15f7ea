/*
 * A device of one's own: a lamp on PCI Express whose brightness the guest sets and the program
 * shows, and a button, pressed by the program, that interrupts the guest.
 *
 *     cc own_device.c $(pkg-config --cflags --libs vireo) -pthread -o own_device
 *     ./own_device Image initramfs.cpio "KERNEL COMMAND LINE"
 *
 * A guest without a driver for it can play with BAR 0 by hand (busybox' devmem):
 *
 *     0  "LAMP"                     4  brightness, 0 to 100
 *     8  how often it was pressed; written: 1 lowers the pin
 */
#include <stdio.h>
#include <string.h>
#include <vireo/device.h>

enum { MAGIC = 0x504d414c, REG_MAGIC = 0, REG_BRIGHT = 4, REG_PRESSED = 8, BRIGHTEST = 100 };

/* What is saved with the machine. */
struct lamp {
    uint32_t bright, pressed;
};

static uint64_t lamp_read(struct vireo_function *f, uint64_t off, unsigned width)
{
    const struct lamp *s = vireo_function_state(f);
    if (width != 4) {
        vireo_function_guest_error(f, "registers are 32 bits wide");
        return 0;
    }
    return off == REG_MAGIC     ? MAGIC
           : off == REG_BRIGHT  ? s->bright
           : off == REG_PRESSED ? s->pressed
                                : 0;
}

static void lamp_write(struct vireo_function *f, uint64_t off, unsigned width, uint64_t val)
{
    struct lamp *s = vireo_function_state(f);
    if (width == 4 && off == REG_BRIGHT && val <= BRIGHTEST) {
        s->bright = (uint32_t)val;
        printf("%s: %u %%\n", vireo_function_id(f), s->bright);
        if (s->bright == BRIGHTEST) { /* somebody presses the button, a moment later */
            vireo_function_timer(f, vireo_function_time_ns(f) + 1000000);
        }
    } else if (width == 4 && off == REG_PRESSED) {
        vireo_function_set_pin(f, false);
    } else {
        vireo_function_guest_error(f, "no such register, or no such brightness");
    }
}

static void lamp_button(struct vireo_function *f)
{
    struct lamp *s = vireo_function_state(f);
    s->pressed++;
    if (!vireo_function_send(f, 0)) { /* the guest wants no messages */
        vireo_function_set_pin(f, true);
    }
}

/* The state may come from a file that somebody wrote by hand. */
static int lamp_restored(struct vireo_function *f, struct vr_error *err)
{
    const struct lamp *s = vireo_function_state(f);
    if (s->bright > BRIGHTEST) {
        snprintf(err->msg, sizeof(err->msg), "a lamp of %u %%", s->bright);
        return err->code = -22; /* EINVAL */
    }
    return 0;
}

static const struct vireo_function_class lamp = {
    .size = sizeof(lamp),
    .name = "lamp",
    .help = "a lamp with a button",
    .version = 1,
    .vendor = 0x1234,
    .device = 0x1a3b,
    .pci_class = 0xff0000,
    .window_bytes = 4096,
    .messages = 1,
    .state_bytes = sizeof(struct lamp),
    .read = lamp_read,
    .write = lamp_write,
    .timer = lamp_button,
    .restored = lamp_restored,
};

static void on_output(void *opaque, const void *buf, size_t len)
{
    fwrite(buf, 1, len, opaque);
}

static int run(struct vireo_config *config, char **argv, struct vr_error *err)
{
    const char *const settings[][2] = {{"kernel", argv[1]},
                                       {"initrd", argv[2]},
                                       {"append", argv[3]},
                                       {"device", "lamp,id=lamp0"},
                                       {"device", "lamp,id=lamp1,bus=port0"}};
    struct vireo_vm *vm;
    enum vireo_end end;
    int r = vireo_config_device_class(config, &lamp, NULL, err);
    for (unsigned i = 0; r == 0 && i < sizeof(settings) / sizeof(settings[0]); i++) {
        r = vireo_config_set(config, settings[i][0], settings[i][1], err);
    }
    r = r < 0 ? r : vireo_vm_create(config, &vm, err);
    if (r < 0) {
        return r;
    }
    r = vireo_vm_on_output(vm, 0, on_output, stdout, err);
    r = r < 0 ? r : vireo_vm_start(vm, err);
    if (r == 0) {
        vireo_vm_wait(vm, UINT64_MAX, &end, NULL);
        printf("ended: %d\n", (int)end);
    }
    vireo_vm_destroy(vm);
    return r;
}

int main(int argc, char **argv)
{
    struct vireo_config *config;
    struct vr_error err = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: own_device KERNEL INITRAMFS COMMAND-LINE\n");
        return 2;
    }
    int r = vireo_config_create(&config, &err);
    if (r == 0) {
        r = run(config, argv, &err);
        vireo_config_destroy(config);
    }
    if (r < 0) {
        fprintf(stderr, "own_device: %s\n", err.msg);
    }
    return r < 0;
}
