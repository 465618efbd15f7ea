/* Help, as text for people, from the tables of verbs and options. */
#include "cli/cli.h"
#include "platform/tty.h"

#include <stdio.h>
#include <string.h>

enum { HELP_WIDTH = 80, HELP_WIDTH_MAX = 100, HELP_COL = 28 };

static unsigned help_width(void)
{
    uint16_t cols, rows;
    if (vr_tty_size(1, &cols, &rows) < 0 || cols < 40) {
        return HELP_WIDTH;
    }
    return cols < HELP_WIDTH_MAX ? cols : HELP_WIDTH_MAX;
}

void cli_wrap(FILE *to, const char *text, unsigned col, unsigned indent, unsigned width)
{
    bool first = true;
    while (*text) {
        if (*text == '\n') {
            fprintf(to, "\n%*s", (int)indent, "");
            col = indent;
            first = true;
            text++;
            continue;
        }
        size_t len = strcspn(text, " \n");
        if (!first && col + 1 + len > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            col = indent;
            first = true;
        }
        fprintf(to, "%s%.*s", first ? "" : " ", (int)len, text);
        col += (unsigned)len + !first;
        first = false;
        text += len + (text[len] == ' ');
    }
    fputc('\n', to);
}

/* A name in the left column and what it means in the right one. */
static void help_row(const char *left, unsigned col, const char *text, unsigned width)
{
    int len = printf("%s", left);
    if (len < 0 || (unsigned)len + 2 > col) {
        printf("\n");
        len = 0;
    }
    printf("%*s", (int)col - len, "");
    cli_wrap(stdout, text, col, col, width);
}

static void help_opt(const struct vr_opt *o, unsigned width)
{
    char left[128], text[640];
    struct vr_opt_key key;
    size_t len;
    snprintf(left, sizeof(left), "  %c%c%s --%s%s%s%s", o->letter ? '-' : ' ',
             o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
             o->bare    ? "[="
             : o->value ? " "
                        : "",
             o->value ? o->value : "", o->bare ? "]" : "");
    len = (size_t)snprintf(text, sizeof(text), "%s", o->help);
    const char *def = o->cmd_def ? o->cmd_def : o->def;
    if (def && len < sizeof(text)) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, " (default: %s)", def);
    }
    if (o->repeat && len < sizeof(text)) {
        snprintf(text + len, sizeof(text) - len, "; may be repeated");
    }
    help_row(left, HELP_COL, text, width);
    for (unsigned i = 0; vr_config_key(o, i, &key); i++) {
        snprintf(left, sizeof(left), "          %s%s%s", key.name, key.value ? "=" : "",
                 key.value ? key.value : "");
        help_row(left, HELP_COL, key.help, width);
    }
}

void cli_help_verb(const struct cli_verb *verb)
{
    unsigned width = help_width();
    const struct vr_opt *o;
    const char *group = NULL;
    printf("usage: vireo %s [OPTION...]%s%s\n\n", verb->name, verb->args ? " " : "",
           verb->args ? verb->args : "");
    printf("%c", verb->help[0] - 'a' + 'A');
    cli_wrap(stdout, verb->help + 1, 1, 0, width);
    for (const char *p = verb->about; p && *p;) {
        char line[1024];
        size_t len = strcspn(p, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)len, p);
        printf("\n");
        cli_wrap(stdout, line, 0, 0, width);
        p += len + (p[len] == '\n');
    }
    for (unsigned i = 0; (o = cli_opt(verb, i)); i++) {
        if (!group || strcmp(group, o->group) != 0) {
            group = o->group;
            printf("\n%s:\n", group);
        }
        help_opt(o, width);
    }
}

int cli_help(struct cli *cli)
{
    unsigned width = help_width();
    if (cli->arg_count) {
        const struct cli_verb *verb = cli_find_verb(cli->args[0]);
        if (!verb) {
            cli_say("help: unknown command '%s'; 'vireo help' lists them", cli->args[0]);
            return CLI_USAGE;
        }
        cli_help_verb(verb);
        return cli_flush();
    }
    printf("usage: vireo COMMAND [OPTION...]\n\nVirtual machines without privileges.\n\n");
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        char left[64];
        snprintf(left, sizeof(left), "  %s%s%s", v->name, v->args ? " " : "",
                 v->args ? v->args : "");
        help_row(left, HELP_COL, v->help, width);
    }
    printf("\n'vireo help run' explains a command and its options, 'vireo man | man -l -' all.\n"
           "Exit codes: 0 the guest powered off, 2 usage, 3 the host lacks something,\n"
           "4 the guest panicked or failed, 5 a file, disk or port, 6 a replay, or\n"
           "engines in lockstep, differ.\n");
    return cli_flush();
}
