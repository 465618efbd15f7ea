/* From words to an invocation, by the option tables. GNU conventions: --name VALUE, --name=VALUE,
 * -n VALUE, -nVALUE, flags may be joined (-qh), -- ends options. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("vireo: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

bool cli_shows_progress(const struct cli *cli)
{
    return !cli->quiet && !cli->json && isatty(STDERR_FILENO);
}

void cli_end_progress(void)
{
    fputs("\r\033[K", stderr);
}

/* Which of the exit codes a failure is. */
static int cli_code_of(int error)
{
    switch (-error) {
    case EINVAL:
    case ERANGE:
    case ENOEXEC:
    case ENOTSUP:
    case EISDIR:
    case EFBIG:
    case E2BIG:
    case EEXIST:
    case ENOSPC:
    case ENAMETOOLONG:
        return CLI_USAGE;
    case ENOMEM:
    case EAGAIN:
    case ENOSYS:
    case EMFILE:
    case ENFILE:
    case ENOLCK:
        return CLI_HOST;
    default:
        return CLI_IO;
    }
}

int cli_fail(const struct vr_error *err)
{
    cli_say("%s", err->msg);
    return cli_code_of(err->code);
}

int cli_fail_file(const struct vr_error *err)
{
    cli_say("%s", err->msg);
    return err->code == -ENOSPC || err->code == -EEXIST ? CLI_IO : cli_code_of(err->code);
}

int cli_fail_opt(const struct vr_error *err, const struct vr_opt *opt, const char *value)
{
    if (opt->kind == VR_OPT_FLAG) {
        cli_say("--%s: %s", opt->name, err->msg);
    } else {
        cli_say("--%s %s: %s", opt->name, value, err->msg);
    }
    return cli_code_of(err->code);
}

const struct cli_verb *cli_find_verb(const char *name)
{
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        if (strcmp(v->name, name) == 0) {
            return v;
        }
    }
    return NULL;
}

/* The two tables that a verb's options come from. */
static const struct vr_opt *cli_table(const struct cli_verb *verb, unsigned i)
{
    return i == 0 ? verb->opts : i == 1 && verb->config ? vr_config_opts : NULL;
}

const struct vr_opt *cli_opt(const struct cli_verb *verb, unsigned i)
{
    /* The machine's come first in help. */
    for (unsigned t = 2; t-- > 0;) {
        for (const struct vr_opt *o = cli_table(verb, t); o && o->name; o++) {
            if (i-- == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static int cli_apply(struct cli *cli, unsigned table, const struct vr_opt *opt, const char *value)
{
    struct vr_error err = {0};
    int r = table ? vr_config_apply(cli->config, opt, value, &err)
                  : vr_opt_apply(opt, cli, value, &err);
    return r < 0 ? cli_fail_opt(&err, opt, value) : CLI_OK;
}

static int cli_unknown(const struct cli *cli, const char *word, size_t len)
{
    const char *names[96];
    char name[64];
    size_t count = 0;
    snprintf(name, sizeof(name), "%.*s", (int)len, word);
    for (unsigned t = 0; t < 2; t++) {
        for (const struct vr_opt *o = cli_table(cli->verb, t); o && o->name; o++) {
            if (count < VR_COUNT(names)) {
                names[count++] = o->name;
            }
        }
    }
    const char *near = vr_nearest(name, names, count);
    if (near) {
        cli_say("%s: unknown option --%s: did you mean --%s?", cli->verb->name, name, near);
    } else {
        cli_say("%s: unknown option --%s; 'vireo help %s' lists them", cli->verb->name, name,
                cli->verb->name);
    }
    return CLI_USAGE;
}

static int cli_long(struct cli *cli, const char *word, const char *next, bool *ret_took_next)
{
    size_t len = strcspn(word, "=");
    for (unsigned t = 0; t < 2; t++) {
        for (const struct vr_opt *o = cli_table(cli->verb, t); o && o->name; o++) {
            if (strlen(o->name) != len || strncmp(o->name, word, len) != 0) {
                continue;
            }
            if (o->kind == VR_OPT_FLAG) {
                return cli_apply(cli, t, o, word[len] ? word + len + 1 : "on");
            }
            if (word[len]) {
                return cli_apply(cli, t, o, word + len + 1);
            }
            if (o->bare) {
                return cli_apply(cli, t, o, o->bare);
            }
            if (!next) {
                cli_say("--%s: needs a value: --%s %s (%s)", o->name, o->name, o->value, o->help);
                return CLI_USAGE;
            }
            *ret_took_next = true;
            return cli_apply(cli, t, o, next);
        }
    }
    return cli_unknown(cli, word, len);
}

static int cli_short(struct cli *cli, const char *letters, const char *next, bool *ret_took_next)
{
    for (const char *p = letters; *p; p++) {
        const struct vr_opt *o = NULL;
        unsigned t = 0;
        while (t < 2 && !(o = vr_opt_letter(cli_table(cli->verb, t), *p))) {
            t++;
        }
        if (!o) {
            cli_say("%s: unknown option -%c; 'vireo help %s' lists them", cli->verb->name, *p,
                    cli->verb->name);
            return CLI_USAGE;
        }
        if (o->kind != VR_OPT_FLAG) {
            const char *value = p[1] ? p + 1 + (p[1] == '=') : next;
            if (!value) {
                cli_say("-%c: needs a value: -%c %s (%s)", *p, *p, o->value, o->help);
                return CLI_USAGE;
            }
            *ret_took_next = !p[1];
            return cli_apply(cli, t, o, value);
        }
        int code = cli_apply(cli, t, o, "on");
        if (code != CLI_OK) {
            return code;
        }
    }
    return CLI_OK;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool took_next = false;
        int code = CLI_OK;
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && strncmp(word, "--", 2) == 0) {
            code = cli_long(cli, word + 2, next, &took_next);
        } else if (options && word[0] == '-' && word[1]) {
            code = cli_short(cli, word + 1, next, &took_next);
        } else if (cli->arg_count == cli->verb->max_args || cli->arg_count == CLI_ARGS) {
            cli_say("%s: one word too many: '%s'; usage: vireo %s [OPTION...]%s%s", cli->verb->name,
                    word, cli->verb->name, cli->verb->args ? " " : "",
                    cli->verb->args ? cli->verb->args : "");
            code = CLI_USAGE;
        } else {
            cli->args[cli->arg_count++] = word;
        }
        if (code != CLI_OK) {
            return code;
        }
        i += took_next;
    }
    if (!cli->help && cli->arg_count < cli->verb->min_args) {
        cli_say("%s: %s is missing; usage: vireo %s [OPTION...] %s", cli->verb->name,
                cli->verb->args, cli->verb->name, cli->verb->args);
        return CLI_USAGE;
    }
    return CLI_OK;
}
