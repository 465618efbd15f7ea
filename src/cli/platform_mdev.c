/* vireo platform mdev: mediated devices, and making and destroying them. */
#include "base/bits.h"
#include "cli/cli.h"
#include "control/mdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const mdev_verbs[] = {"create", "destroy"};

const char *cli_mdev_verb(unsigned i)
{
    return i < VR_COUNT(mdev_verbs) ? mdev_verbs[i] : NULL;
}

static void mdev_text(const struct vr_mdevs *all)
{
    for (size_t i = 0; i < all->type_count; i++) {
        const struct vireo_mdev_type *t = &all->types[i];
        printf("type %s of %s%s%s: %u available, seen by guests as %s\n", t->type, t->parent,
               *t->name ? ", " : "", t->name, t->available, *t->api ? t->api : "unknown");
    }
    for (size_t i = 0; i < all->device_count; i++) {
        const struct vireo_mdev *d = &all->devices[i];
        printf("%s  %s of %s%s\n", d->uuid, d->type, d->parent, d->in_use ? ", in use" : "");
    }
    if (all->type_count == 0) {
        printf("no driver on this host makes mediated devices\n");
    }
}

static int mdev_show(struct cli *cli)
{
    struct vr_mdevs all;
    struct vr_error err = {0};
    if (vr_query_mdevs(cli->root, &all, &err) < 0) {
        return cli_fail(&err);
    }
    if (cli->json) {
        json_t *json = vr_query_mdevs_json(&all);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(json);
    } else {
        mdev_text(&all);
    }
    vr_query_mdevs_free(&all);
    return cli_flush();
}

static int mdev_create(const struct cli *cli, struct vr_error *err)
{
    const char *uuid = cli->arg_count > 4 ? cli->args[4] : NULL;
    char made[VIREO_UUID_SIZE];
    if (cli->dry_run) {
        printf("write '%s' to /sys/class/mdev_bus/%s/mdev_supported_types/%s/create (make it)\n",
               uuid ? uuid : "a random UUID", cli->args[2], cli->args[3]);
        return 0;
    }
    int r = vireo_mdev_create(cli->root, cli->args[2], cli->args[3], uuid, made, err);
    if (r == 0 && !cli->quiet) {
        printf("%s\n", made);
    }
    return r;
}

static int mdev_destroy(const struct cli *cli, struct vr_error *err)
{
    if (cli->dry_run) {
        printf("write '1' to /sys/bus/mdev/devices/%s/remove (take it away)\n", cli->args[2]);
        return 0;
    }
    return vireo_mdev_destroy(cli->root, cli->args[2], err);
}

int cli_platform_mdev(struct cli *cli)
{
    struct vr_error err = {0};
    bool create = cli->arg_count > 1 && strcmp(cli->args[1], "create") == 0;
    bool destroy = cli->arg_count > 1 && strcmp(cli->args[1], "destroy") == 0;
    if (cli->whole_group || cli->way || cli->force || (cli->json && cli->arg_count > 1) ||
        (cli->dry_run && cli->arg_count == 1)) {
        cli_say("platform mdev: --json is for the list, --dry-run for create and destroy; nothing "
                "else is for it");
        return CLI_USAGE;
    }
    if (cli->arg_count == 1) {
        return mdev_show(cli);
    }
    if (!(create && (cli->arg_count == 4 || cli->arg_count == 5)) &&
        !(destroy && cli->arg_count == 3)) {
        cli_say("platform mdev: create PARENT TYPE [UUID], or destroy UUID");
        return CLI_USAGE;
    }
    int r = create ? mdev_create(cli, &err) : mdev_destroy(cli, &err);
    return r < 0 ? cli_fail(&err) : cli_flush();
}
