/*
 * `vireo fork`: clones of a running machine, each a process of its own.
 *
 * The machine hands over what it was (vireo/fork.h); the clones are copies of this process, so that
 * nothing is loaded again, and tell by a pipe how it went. They live on when this process ends, or
 * is killed: one that has not told yet goes on, too.
 */
#include "vireo/fork.h"
#include "base/bits.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/vm.h"
#include "platform/file.h"
#include "platform/process.h"
#include "vireo/fork.h"
#include "vireo/host_fault.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { FORK_NAME = 64, FORK_NUMBERS = 10000 };

/* What a clone tells of itself. */
struct fork_told {
    int code;       /* 0, or negative errno */
    char text[256]; /* the error; */
    char name[FORK_NAME];
    char uuid[40];
    uint64_t running_ns; /* when it began to run, by the monotonic clock */
};

struct fork_clone {
    struct cli *cli;
    const struct vireo_fork *fork;
    const char *prefix;
    unsigned number; /* 0: the prefix is its name */
    int tell;        /* its end of the pipe */
    uint64_t pid;
    uv_file ends[2];
};

static void fork_on_signal(void *opaque, int signum)
{
    (void)signum;
    vr_vm_stop_as(opaque, 0, "host-signal");
}

/* It leaves what it knew, as every machine does. */
static bool fork_on_crash(void *opaque, struct vireo_fault *fault)
{
    struct vireo_vm *const *vm = opaque;
    if (*vm) {
        vr_vm_crashed(*vm, fault);
    }
    return false;
}

/* Configure and make it, by the first name from its number on that is free. */
static int fork_make(const struct fork_clone *c, struct vireo_vm **ret_vm, struct vr_error *err)
{
    char name[FORK_NAME];
    uint64_t pid;
    int r = -EADDRINUSE;
    for (unsigned i = 0; r == -EADDRINUSE && i < FORK_NUMBERS; i++) {
        struct vireo_config *config;
        if (c->number == 0 && i > 0) {
            break; /* it was to be this name */
        }
        snprintf(name, sizeof(name), c->number ? "%s%u" : "%s", c->prefix,
                 c->number + i * c->cli->count);
        r = vireo_fork_config(c->fork, &config, err);
        if (r < 0) {
            break;
        }
        r = vireo_config_set(config, "name", name, err);
        r = r < 0 ? r : vireo_config_set(config, "control", "auto", err);
        if (r == 0 && c->cli->publish) {
            r = vireo_config_set(config, "publish", c->cli->publish, err);
        }
        r = r < 0 ? r : vireo_fork_clone(c->fork, config, c->cli->overlays, ret_vm, err);
        vireo_config_destroy(config);
        if (r == -EADDRINUSE && vr_client_process(name, &pid, NULL) == -ENOENT) {
            break; /* nobody has the name: it is a port of the host that is taken */
        }
    }
    return r;
}

/* In the clone's process. */
static int fork_main(void *opaque)
{
    struct fork_clone *c = opaque;
    struct fork_told told = {.code = 0};
    struct vr_error err = {0};
    struct vireo_vm *vm = NULL;
    struct vireo_endsig *sig = NULL;
    enum vireo_end end = VIREO_END_STOP;
    unsigned code = 0;
    int crash;
    /* First, so that it is asked last: to the machine's engine faults are daily business. */
    int r = vireo_fault_add(fork_on_crash, &vm, &crash, &err);
    const bool watched = r == 0;
    r = r < 0 ? r : fork_make(c, &vm, &err);
    r = r < 0 ? r : vireo_endsig_start(fork_on_signal, vm, &sig, &err);
    r = r < 0 ? r : vireo_vm_resume(vm, &err);
    told.running_ns = vireo_monotonic_ns();
    told.code = r;
    if (r < 0) {
        snprintf(told.text, sizeof(told.text), "%s", err.msg);
    } else {
        snprintf(told.name, sizeof(told.name), "%s", vr_vm_name(vm));
        snprintf(told.uuid, sizeof(told.uuid), "%s", vr_vm_uuid(vm));
    }
    struct iovec iov = {.iov_base = &told, .iov_len = sizeof(told)};
    (void)!writev(c->tell, &iov, 1); /* whoever asked may be gone */
    vr_file_close(c->tell);
    if (r == 0) {
        vireo_fork_destroy((struct vireo_fork *)(uintptr_t)c->fork); /* this process's copy */
        vireo_vm_wait(vm, UINT64_MAX, &end, &code);
    }
    vireo_endsig_stop(sig);
    if (watched) {
        vireo_fault_remove(crash);
    }
    vireo_vm_destroy(vm);
    return r < 0 ? CLI_IO : end == VIREO_END_FAIL || end == VIREO_END_PANIC ? CLI_GUEST : (int)code;
}

/* What clone @c tells; false: it ended without a word. */
static bool fork_hear(const struct fork_clone *c, struct fork_told *told)
{
    size_t got = 0;
    while (got < sizeof(*told)) {
        ssize_t n = read(c->ends[0], (char *)told + got, sizeof(*told) - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        got += (size_t)n;
    }
    told->text[sizeof(told->text) - 1] = told->name[sizeof(told->name) - 1] =
        told->uuid[sizeof(told->uuid) - 1] = '\0';
    return true;
}

static int fork_start(struct fork_clone *c, struct vr_error *err)
{
    int r = uv_pipe(c->ends, 0, 0);
    if (r < 0) {
        return vr_err(err, r, "a pipe to a clone: %s", uv_strerror(r));
    }
    c->tell = c->ends[1];
    r = vr_process_fork(fork_main, c, &c->pid, err);
    vr_file_close(c->ends[1]);
    if (r < 0) {
        vr_file_close(c->ends[0]);
    }
    return r;
}

static void fork_text(const json_t *json)
{
    size_t i;
    json_t *clone;
    json_array_foreach(json_object_get(json, "clones"), i, clone)
    {
        printf("%s\n", cli_json_str(clone, "name"));
    }
}

/* Start @count clones, then hear how each fared; an exit code. */
static int fork_all(struct fork_clone *clone, unsigned count, json_t *list)
{
    struct vr_error err = {0};
    unsigned started = 0;
    int code = CLI_OK;
    while (started < count) {
        if (fork_start(&clone[started], &err) < 0) {
            code = cli_fail(&err);
            break;
        }
        started++;
    }
    for (unsigned i = 0; i < started; i++) {
        struct fork_told told;
        if (!fork_hear(&clone[i], &told)) {
            told = (struct fork_told){.code = -EPIPE};
            snprintf(told.text, sizeof(told.text), "a clone, process %" PRIu64 ", crashed",
                     clone[i].pid);
        }
        vr_file_close(clone[i].ends[0]);
        if (told.code < 0) {
            err = (struct vr_error){.code = told.code};
            snprintf(err.msg, sizeof(err.msg), "%.250s", told.text);
            code = cli_fail(&err);
            continue;
        }
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:I, s:s, s:I}", "name", told.name, "pid",
                                              (json_int_t)clone[i].pid, "uuid", told.uuid,
                                              "running-ns", (json_int_t)told.running_ns));
    }
    return code;
}

int cli_fork(struct cli *cli)
{
    struct vr_error err = {0};
    struct vireo_fork *fork;
    struct vireo_fork_info info;
    unsigned count = cli->count = cli->count ? cli->count : 1;
    if (cli->publish && count > 1) {
        cli_say("fork: --publish is for one clone: %u cannot share a port of the host", count);
        return CLI_USAGE;
    }
    int r = vireo_fork_request(cli->arg_count ? cli->args[0] : NULL, cli->overlays, &fork, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    vireo_fork_info(fork, &info);
    struct fork_clone *clone = calloc(count, sizeof(*clone));
    char prefix[FORK_NAME];
    snprintf(prefix, sizeof(prefix), "%s-", info.name);
    for (unsigned i = 0; clone && i < count; i++) {
        clone[i] = (struct fork_clone){.cli = cli,
                                       .fork = fork,
                                       .prefix = cli->prefix ? cli->prefix : prefix,
                                       .number = cli->prefix && count == 1 ? 0 : i + 1};
    }
    json_t *list = json_array();
    int code = clone ? fork_all(clone, count, list) : CLI_HOST;
    free(clone);
    json_t *json = json_pack("{s:s, s:I, s:I, s:o}", "parent", info.name, "pause-ns",
                             (json_int_t)info.pause_ns, "copied-bytes",
                             (json_int_t)info.copied_bytes, "clones", list);
    vireo_fork_destroy(fork);
    int printed = cli_json_print(cli, json, fork_text);
    return code == CLI_OK ? printed : code;
}
