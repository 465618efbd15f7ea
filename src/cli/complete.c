/* Completion scripts for shells, from the tables of verbs and options. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { COMPLETE_ARGS = 3 }; /* positionals that words are offered for */

/* @text in single quotes of a POSIX shell (and fish: it reads '\'' so too); @escape: characters
 * that get a backslash as well. */
static void complete_quoted(const char *text, const char *escape)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", stdout);
        } else {
            if (strchr(escape, *text)) {
                putchar('\\');
            }
            putchar(*text);
        }
    }
}

/* ---- bash ---- */

static void bash_verb(const struct cli_verb *v)
{
    const struct vr_opt *o;
    for (unsigned i = 0; (o = cli_opt(v, i)); i++) {
        if (o->kind == VR_OPT_FLAG || o->bare) { /* no word after it is its value */
            continue;
        }
        printf("    %s:--%s", v->name, o->name);
        if (o->letter) {
            printf(" | %s:-%c", v->name, o->letter);
        }
        printf(") words='%s' files=%s ;;\n", o->words ? o->words : "",
               o->kind == VR_OPT_FILE ? "1" : "");
    }
}

static void bash_words(const struct cli_verb *v)
{
    const struct vr_opt *o;
    const char *word;
    printf("        %s)\n            options='", v->name);
    for (unsigned i = 0; (o = cli_opt(v, i)); i++) {
        printf("%s--%s", i ? " " : "", o->name);
    }
    printf("' files=%s\n", v->files ? "1" : "");
    for (unsigned arg = 0; v->word && arg < COMPLETE_ARGS; arg++) {
        printf("            ((COMP_CWORD == %u)) && words='", arg + 2);
        for (unsigned i = 0; (word = v->word(arg, i)); i++) {
            printf("%s%s", i ? " " : "", word);
        }
        printf("'\n");
    }
    if (v->machines) {
        printf("            ((COMP_CWORD == 2%s)) && words+=\" $(vireo ps -q 2>/dev/null)\"\n",
               v->max_args == CLI_ARGS ? " || COMP_CWORD > 2" : "");
    }
    if (v->machines_at) {
        printf("            ((COMP_CWORD == %u)) && words+=\" $(vireo ps -q 2>/dev/null)\"\n",
               v->machines_at + 2);
    }
    printf("            ;;\n");
}

static void complete_bash(void)
{
    fputs("# bash completion for vireo; printed by 'vireo completion bash'\n"
          "_vireo()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local verb=${COMP_WORDS[1]} words= files= options=\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '",
          stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        printf("%s%s", v == cli_verbs ? "" : " ", v->name);
    }
    fputs("' -- \"$cur\"))\n        return\n    fi\n    case $verb:$prev in\n", stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        bash_verb(v);
    }
    fputs("    *)\n        case $verb in\n", stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        bash_words(v);
    }
    fputs("        esac\n        if [[ $cur == -* ]]; then\n"
          "            words=$options files=\n        fi\n        ;;\n    esac\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "    if [[ $files ]]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        COMPREPLY+=($(compgen -f -- \"$cur\"))\n    fi\n"
          "    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then\n"
          "        compopt -o nospace 2>/dev/null\n    fi\n}\n"
          "complete -F _vireo vireo\n",
          stdout);
}

/* ---- zsh ---- */

static void zsh_opt(const struct vr_opt *o)
{
    const char *star = o->repeat ? "*" : "";
    printf(" \\\n            ");
    if (o->letter && !o->repeat) {
        printf("'(-%c --%s)'", o->letter, o->name);
    } else if (o->repeat) {
        printf("'%s'", star);
    }
    if (o->letter) {
        printf("{-%c%s,--%s%s}", o->letter, o->value ? "+" : "", o->name, o->value ? "=" : "");
    } else {
        printf("--%s%s", o->name, o->bare ? "=-" : o->value ? "=" : "");
    }
    printf("'[");
    complete_quoted(o->help, "[]\\:");
    printf("]");
    if (o->value) {
        fputs(o->bare ? "::" : ":", stdout);
        complete_quoted(o->value, "[]\\:");
        if (o->kind == VR_OPT_FILE) {
            printf(":_files");
        } else {
            printf(":(%s)", o->words ? o->words : "");
        }
    }
    printf("'");
}

static void zsh_verb(const struct cli_verb *v)
{
    const struct vr_opt *o;
    const char *word;
    printf("    %s)\n        _arguments -s", v->name);
    for (unsigned i = 0; (o = cli_opt(v, i)); i++) {
        zsh_opt(o);
    }
    for (unsigned arg = 0; v->word && arg < COMPLETE_ARGS; arg++) {
        if (!v->word(arg, 0)) {
            continue; /* a machine's name, say */
        }
        bool names = arg && v->machines_at == arg; /* of machines, too */
        printf(" \\\n            '%u:word:%s", arg + 1, names ? "{compadd " : "(");
        for (unsigned i = 0; (word = v->word(arg, i)); i++) {
            printf("%s%s", i ? " " : "", word);
        }
        printf(names ? "; _vireo_machines}'" : ")'");
    }
    if (v->files) {
        printf(" \\\n            '%s:file:_files'", v->word ? "*" : "1");
    }
    if (v->machines_at && !v->word(v->machines_at, 0)) {
        printf(" \\\n            '%u:machine:_vireo_machines'", v->machines_at + 1);
    }
    if (v->machines) {
        printf(" \\\n            '%s:machine:_vireo_machines'",
               v->max_args == CLI_ARGS ? "*" : "1");
    }
    printf("\n        ;;\n");
}

static void complete_zsh(void)
{
    fputs("#compdef vireo\n# zsh completion for vireo; printed by 'vireo completion zsh'\n"
          "_vireo_machines() {\n    local -a names\n"
          "    names=(${(f)\"$(vireo ps -q 2>/dev/null)\"})\n    compadd -a names\n}\n"
          "_vireo() {\n    local -a verbs\n    verbs=(\n",
          stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        printf("        '%s:", v->name);
        complete_quoted(v->help, "\\:");
        printf("'\n");
    }
    fputs("    )\n    if ((CURRENT == 2)); then\n        _describe command verbs\n        return\n"
          "    fi\n    local verb=$words[2]\n    shift words\n    ((CURRENT--))\n"
          "    case $verb in\n",
          stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        zsh_verb(v);
    }
    fputs("    esac\n}\n"
          "if [[ ${funcstack[1]} == _vireo ]]; then\n    _vireo \"$@\"\nelse\n"
          "    compdef _vireo vireo\nfi\n",
          stdout);
}

/* ---- fish ---- */

static void fish_help(const char *text)
{
    printf(" -d '");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    printf("'\n");
}

static void fish_verb(const struct cli_verb *v)
{
    const struct vr_opt *o;
    const char *word;
    for (unsigned i = 0; (o = cli_opt(v, i)); i++) {
        printf("complete -c vireo -n '__fish_seen_subcommand_from %s' -l %s", v->name, o->name);
        if (o->letter) {
            printf(" -s %c", o->letter);
        }
        if (o->kind == VR_OPT_FILE) {
            printf(" -r -F");
        } else if (o->bare) {
            printf(" -f -a '%s'", o->words ? o->words : "");
        } else if (o->value) {
            printf(" -x -a '%s'", o->words ? o->words : "");
        }
        fish_help(o->help);
    }
    for (unsigned arg = 0; v->word && arg < COMPLETE_ARGS; arg++) {
        for (unsigned i = 0; (word = v->word(arg, i)); i++) {
            printf("complete -c vireo -n '__fish_seen_subcommand_from %s' -a %s\n", v->name, word);
        }
    }
    if (v->files) {
        printf("complete -c vireo -n '__fish_seen_subcommand_from %s' -F\n", v->name);
    }
    if (v->machines || v->machines_at) {
        printf("complete -c vireo -n '__fish_seen_subcommand_from %s' -a '(vireo ps -q "
               "2>/dev/null)'\n",
               v->name);
    }
}

static void complete_fish(void)
{
    fputs("# fish completion for vireo; printed by 'vireo completion fish'\ncomplete -c vireo -f\n",
          stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        printf("complete -c vireo -n __fish_use_subcommand -a %s", v->name);
        fish_help(v->help);
        fish_verb(v);
    }
}

int cli_completion(struct cli *cli)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
    for (unsigned i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(cli->args[0], shells[i].name) == 0) {
            shells[i].print();
            return cli_flush();
        }
    }
    cli_say("completion: no script for '%s'; there are bash, zsh and fish", cli->args[0]);
    return CLI_USAGE;
}
