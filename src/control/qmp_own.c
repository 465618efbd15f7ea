/* Commands of the embedding program's own on a machine's control socket: vireo_vm_on_command. */
#include "base/alloc.h"
#include "control/qmp.h"
#include "control/qmp_commands.h"
#include "control/vm_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OWN_NAME = 64, OWN_MAX = 64 };

struct vr_qmp_own {
    struct vr_qmp_command row; /* first: what calls name it by */
    char name[OWN_NAME], help[128];
    int (*fn)(void *opaque, const char *arguments, char *ret_answer, size_t size,
              struct vr_error *err);
    void *opaque;
    struct vr_qmp_own *next;
};

static int own_run(struct vr_qmp_call *call, struct vr_error *err)
{
    const struct vr_qmp_own *own = (const struct vr_qmp_own *)call->command;
    char *args = call->args ? json_dumps(call->args, 0) : strdup("{}");
    char *answer = vr_zalloc(VIREO_ANSWER_SIZE);
    struct vr_error why = {0};
    int r = args && answer ? own->fn(own->opaque, args, answer, VIREO_ANSWER_SIZE, &why) : -ENOMEM;
    if (r < 0) {
        r = vr_err(err, r, "%s: %s", own->name, *why.msg ? why.msg : strerror(-r));
    } else if (*answer) {
        json_t *ret = memchr(answer, '\0', VIREO_ANSWER_SIZE)
                          ? json_loads(answer, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL)
                          : NULL;
        r = ret ? vr_qmp_done(call, ret, err)
                : vr_err(err, -EPROTO, "%s: what the program answers is no JSON", own->name);
    }
    free(args);
    free(answer);
    return r;
}

const struct vr_qmp_command *vr_qmp_own(const struct vireo_vm *vm, unsigned i)
{
    const struct vr_qmp_own *own = vm->own_commands;
    while (own && i--) {
        own = own->next;
    }
    return own ? &own->row : NULL;
}

const struct vr_qmp_command *vr_qmp_find_for(const struct vireo_vm *vm, const char *name)
{
    const struct vr_qmp_command *c = vr_qmp_find(name);
    for (const struct vr_qmp_own *own = vm->own_commands; !c && own; own = own->next) {
        c = strcmp(own->name, name) == 0 ? &own->row : NULL;
    }
    return c;
}

void vr_qmp_own_free(struct vireo_vm *vm)
{
    while (vm->own_commands) {
        struct vr_qmp_own *own = vm->own_commands;
        vm->own_commands = own->next;
        free(own);
    }
}

static bool own_name_good(const char *name)
{
    size_t len = strlen(name);
    return len < OWN_NAME && len > 2 && strncmp(name, "x-", 2) == 0 &&
           strncmp(name, "x-vireo-", 8) != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

int vireo_vm_on_command(struct vireo_vm *vm, const char *name, const char *help,
                        int (*fn)(void *opaque, const char *arguments, char *ret_answer,
                                  size_t size, struct vr_error *err),
                        void *opaque, struct vr_error *err)
{
    struct vr_qmp_own **at = &vm->own_commands;
    unsigned count = 0;
    if (!own_name_good(name)) {
        return vr_err(err, -EINVAL,
                      "command '%.70s': expected x- and up to %d small letters, digits, '-' and "
                      "'_', but not x-vireo-",
                      name, OWN_NAME - 3);
    }
    if (vm->begun || vireo_vm_state(vm) != VIREO_STOPPED) {
        return vr_err(err, -EBUSY, "command '%s': the machine was started already", name);
    }
    for (; *at; at = &(*at)->next) {
        count++;
    }
    if (vr_qmp_find_for(vm, name)) {
        return vr_err(err, -EEXIST, "command '%s': there is one of that name", name);
    }
    struct vr_qmp_own *own = count < OWN_MAX ? vr_zalloc(sizeof(*own)) : NULL;
    if (!own) {
        return count < OWN_MAX
                   ? vr_err(err, -ENOMEM, "command '%s': no memory", name)
                   : vr_err(err, -E2BIG, "command '%s': there are %d already", name, OWN_MAX);
    }
    snprintf(own->name, sizeof(own->name), "%s", name);
    snprintf(own->help, sizeof(own->help), "%s", help);
    own->row = (struct vr_qmp_command){.name = own->name,
                                       .args = "*?:any",
                                       .ret = "any",
                                       .flags = VR_QMP_SLOW,
                                       .run = own_run,
                                       .help = own->help};
    own->fn = fn;
    own->opaque = opaque;
    *at = own;
    return 0;
}
