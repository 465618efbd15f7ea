/* A machine's consoles, as its owner has them: what they are, what goes in and out, keys. */
#include "control/vm_priv.h"
#include "platform/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct vr_chr *vr_vm_console(struct vireo_vm *vm, unsigned console)
{
    return console == 0 ? vr_virt_serial(vm->virt) : vr_virt_port(vm->virt, console - 1);
}

/* Ctrl-A c: one line on the terminal, about the machine. */
static void vm_say_status(struct vireo_vm *vm)
{
    static const char *const states[] = {"stopped", "running", "paused"};
    uint64_t ms = vireo_vm_time_ns(vm) / 1000000;
    char line[200];
    int len = snprintf(line, sizeof(line),
                       "\r\nvireo: %s: %s, up %" PRIu64 ".%03" PRIu64 " s, %u hart%s, %" PRIu64
                       " MiB\r\n",
                       vr_machine_name(vm->machine), states[vireo_vm_state(vm)], ms / 1000,
                       ms % 1000, vm->cpus, vm->cpus == 1 ? "" : "s", vm->memory_bytes >> 20);
    (void)vr_chr_write(vm->stdio, (const uint8_t *)line, (size_t)len);
}

/* A key after Ctrl-A on the terminal. */
static void vm_on_escape(void *opaque, char key)
{
    struct vireo_vm *vm = opaque;
    if (key == 'x') {
        vireo_vm_stop(vm, 0);
    } else if (key == 'r') {
        vireo_vm_reset(vm);
    } else if (key == 'c') {
        vm_say_status(vm);
    }
}

struct vr_chr_opts vr_vm_chr_opts(struct vireo_vm *vm, const char *spec)
{
    return (struct vr_chr_opts){
        .spec = vm->idle ? "null" : spec,
        .escape_keys = "xrc",
        .on_escape = vm_on_escape,
        .opaque = vm,
    };
}

/* What a console is, apart from its path. */
void vr_vm_note_console(struct vireo_vm *vm, unsigned i, const char *spec)
{
    snprintf(vm->console_kind[i], sizeof(vm->console_kind[i]), "%.*s", (int)strcspn(spec, ":"),
             spec);
    vm->mem[i] = !vm->idle && strcmp(spec, "mem") == 0;
    if (!vm->idle && strcmp(spec, "stdio") == 0) {
        vm->stdio = vr_vm_console(vm, i);
    }
}

size_t vireo_vm_feed(struct vireo_vm *vm, unsigned console, const void *buf, size_t len)
{
    if (console >= VIREO_CONSOLES || !vm->mem[console]) {
        return 0;
    }
    return vr_chr_mem_feed(vr_vm_console(vm, console), buf, len);
}

int vireo_vm_resize(struct vireo_vm *vm, unsigned console, uint16_t cols, uint16_t rows,
                    struct vr_error *err)
{
    if (console == 0 || console >= VIREO_CONSOLES || !vm->mem[console]) {
        return vr_err(err, -EINVAL,
                      "console %u: there is no virtio console whose host end is \"mem\"", console);
    }
    if (!cols || !rows) {
        return vr_err(err, -EINVAL, "console %u: a screen of %u by %u characters", console, cols,
                      rows);
    }
    vr_chr_mem_resize(vr_vm_console(vm, console), cols, rows);
    return 0;
}

static void vm_output(void *opaque, const uint8_t *buf, size_t len)
{
    struct vm_listener *l = opaque;
    l->fn(l->opaque, buf, len);
}

/* Setting a listener happens on the I/O thread, where the old one would be called. */
struct vm_listen {
    struct vr_chr *chr;
    struct vm_listener *at, to;
};

static void vm_listen(void *arg)
{
    struct vm_listen *l = arg;
    *l->at = l->to;
    vr_chr_mem_on_output(l->chr, l->to.fn ? vm_output : NULL, l->at);
}

int vireo_vm_on_output(struct vireo_vm *vm, unsigned console,
                       void (*fn)(void *opaque, const void *buf, size_t len), void *opaque,
                       struct vr_error *err)
{
    if (console >= VIREO_CONSOLES || !vm->mem[console]) {
        return vr_err(err, -EINVAL, "console %u: there is none whose host end is \"mem\"", console);
    }
    struct vm_listen l = {.chr = vr_vm_console(vm, console),
                          .at = &vm->listener[console],
                          .to = {.fn = fn, .opaque = opaque}};
    vr_loop_call(vr_machine_loop(vm->machine), vm_listen, &l);
    return 0;
}

const char *vireo_vm_console_path(struct vireo_vm *vm, unsigned console)
{
    struct vr_chr *chr = console < VIREO_CONSOLES ? vr_vm_console(vm, console) : NULL;
    return chr ? vr_chr_path(chr) : NULL;
}

void vr_vm_restore_tty(struct vireo_vm *vm)
{
    if (vm->stdio) {
        vr_chr_restore_tty(vm->stdio);
    }
}

bool vr_vm_has_keys(const struct vireo_vm *vm)
{
    struct vr_stream in;
    vr_stream_open_std(0, false, &in);
    bool terminal = in.kind == VR_STREAM_TTY;
    vr_stream_close(&in);
    return vm->stdio && terminal;
}
