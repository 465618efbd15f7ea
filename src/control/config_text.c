/*
 * Configurations as text, which outlives the process: in snapshots, and on their way to another
 * Vireo.
 *
 *     vireo-config 1
 *     ?cpus=1
 *     memory=512M
 *     disk=/home/me/root.img,ro
 *
 * A line a setting, as vireo_config_set takes it, in the order they were made; "?": nobody chose
 * it, it is the default of the Vireo that wrote the text, which may be another's by now. What a
 * later setting of the same name undid is left out. Names of files are absolute. In values, "\\" is
 * a backslash, "\n" a newline, "\xHH" any other control character.
 *
 * What is read may come from anywhere: it goes through the same table and checks as the command
 * line.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "control/config.h"
#include "vireo/vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define TEXT_HEAD "vireo-config 1\n"

enum { TEXT_MAX = 1 << 20, TEXT_LINES = 4096, TEXT_PATH = 4096 };

struct text_out {
    char *buf;
    size_t len, cap;
    bool failed; /* no memory */
};

static void text_put(struct text_out *out, const char *s, size_t len)
{
    if (!out->failed && out->cap - out->len <= len) {
        size_t cap = (out->cap + len + 64) * 2;
        char *buf = realloc(out->buf, cap);
        out->failed = !buf;
        out->buf = buf ? buf : out->buf;
        out->cap = buf ? cap : out->cap;
    }
    if (!out->failed) {
        memcpy(out->buf + out->len, s, len);
        out->len += len;
        out->buf[out->len] = 0;
    }
}

static void text_puts(struct text_out *out, const char *s)
{
    text_put(out, s, strlen(s));
}

static void text_put_escaped(struct text_out *out, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char hex[8];
        if (c == '\\') {
            text_puts(out, "\\\\");
        } else if (c == '\n') {
            text_puts(out, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(hex, sizeof(hex), "\\x%02x", c);
            text_puts(out, hex);
        } else {
            text_put(out, s, 1);
        }
    }
}

/* How much of @value stands before the name of a file; SIZE_MAX: there is none. */
static size_t text_before_path(const struct vr_opt *opt, const char *value)
{
    static const char *const heads[] = {"file:", "unix:"};
    if (opt->kind == VR_OPT_FILE && !vr_word_of(value, opt->words, ' ')) {
        return opt->keys && strncmp(value, "path=", 5) == 0 ? 5 : 0;
    }
    for (unsigned i = 0; opt->kind == VR_OPT_TEXT && i < 2; i++) {
        bool spec = opt->words && strstr(opt->words, heads[i]);
        if (spec && strncmp(value, heads[i], strlen(heads[i])) == 0) {
            return strlen(heads[i]);
        }
    }
    bool keys = opt->apply == vr_config_device || opt->apply == vr_config_net;
    const char *path = keys ? strstr(value, ",path=") : NULL;
    if (!path) {
        return SIZE_MAX;
    }
    path += strlen(",path=");
    if (strncmp(value, "virtio-console-", 15) == 0) { /* a SPEC: files and sockets have names */
        bool named = strncmp(path, heads[0], 5) == 0 || strncmp(path, heads[1], 5) == 0;
        return named ? (size_t)(path - value) + 5 : SIZE_MAX;
    }
    return (size_t)(path - value);
}

static bool text_is_absolute(const char *path)
{
    return path[0] == '/' || path[0] == '\\' || (path[0] && path[1] == ':');
}

/* @value with the name of its file made absolute, if it has one; NULL: no memory. */
static char *text_absolute(const struct vr_opt *opt, const char *value, const char *cwd)
{
    struct text_out out = {0};
    size_t before = text_before_path(opt, value);
    if (before != SIZE_MAX && !text_is_absolute(value + before)) {
        bool commas = opt->keys || opt->apply == vr_config_device; /* are doubled there */
        text_put(&out, value, before);
        for (const char *at = cwd; *at; at++) {
            text_puts(&out, *at == ',' && commas ? ",," : (const char[]){*at, 0});
        }
        text_puts(&out, "/");
        value += before;
    }
    text_puts(&out, value);
    if (out.failed) {
        free(out.buf);
        return NULL;
    }
    return out.buf;
}

static int text_cwd(char *cwd, struct vr_error *err)
{
    size_t size = TEXT_PATH;
    int r = uv_cwd(cwd, &size);
    return r < 0 ? vr_err(err, r, "the folder that we are in has no name: %s", uv_strerror(r)) : 0;
}

int vr_config_absolute(const struct vr_opt *opt, const char *value, char **ret_value,
                       struct vr_error *err)
{
    char cwd[TEXT_PATH];
    int r = text_cwd(cwd, err);
    char *text = r < 0 ? NULL : text_absolute(opt, value, cwd);
    if (r == 0 && !text) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    *ret_value = r < 0 ? *ret_value : text;
    return r;
}

static void text_put_line(struct text_out *out, const struct vr_opt *opt, const char *value,
                          bool chosen, const char *cwd)
{
    char *absolute = text_absolute(opt, value, cwd);
    out->failed |= !absolute;
    text_puts(out, chosen ? "" : "?");
    text_puts(out, opt->name);
    text_puts(out, "=");
    text_put_escaped(out, absolute ? absolute : "");
    text_puts(out, "\n");
    free(absolute);
}

static bool text_said(const struct vireo_config *c, const struct vr_opt *opt, unsigned from)
{
    for (unsigned i = from; i < c->said_count; i++) {
        if (c->said[i].opt == opt) {
            return true;
        }
    }
    return false;
}

int vireo_config_save(const struct vireo_config *c, char **ret_text, struct vr_error *err)
{
    struct text_out out = {0};
    char cwd[TEXT_PATH];
    int r = text_cwd(cwd, err);
    if (r < 0) {
        return r;
    }
    text_puts(&out, TEXT_HEAD);
    for (const struct vr_opt *o = vr_config_opts; o->name; o++) {
        if (o->def && !o->once && !text_said(c, o, 0)) {
            text_put_line(&out, o, o->def, false, cwd);
        }
    }
    for (unsigned i = 0; i < c->said_count; i++) {
        const struct vr_config_said *said = &c->said[i];
        if (said->opt->once) {
            continue;
        }
        if (said->opt->repeat || !text_said(c, said->opt, i + 1)) {
            text_put_line(&out, said->opt, said->value, !said->why, cwd);
        }
    }
    const struct vr_opt *det = vr_opt_find(vr_config_opts, "deterministic");
    if ((c->record || c->replay) && !text_said(c, det, 0)) { /* that was implied; the file is not */
        text_put_line(&out, det, "on", true, cwd);
    }
    if (out.failed) {
        free(out.buf);
        return vr_err(err, -ENOMEM, "no memory for a configuration");
    }
    *ret_text = out.buf;
    return 0;
}

void vireo_config_text_free(char *text)
{
    free(text);
}

/* There is one way to write an escape: with small letters. */
static int text_hex(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : vr_hex_digit(c);
}

/* Undo the escapes of @len bytes, in place; zero-terminates. */
static int text_unescape(char *s, size_t len)
{
    char *to = s;
    for (const char *from = s, *end = s + len; from < end; from++) {
        if (*from != '\\') {
            *to++ = *from;
        } else if (end - from >= 2 && from[1] == '\\') {
            *to++ = *++from;
        } else if (end - from >= 2 && from[1] == 'n') {
            *to++ = '\n';
            from++;
        } else if (end - from >= 4 && from[1] == 'x' && text_hex(from[2]) >= 0 &&
                   text_hex(from[3]) >= 0 && (text_hex(from[2]) || text_hex(from[3]))) {
            *to++ = (char)(text_hex(from[2]) << 4 | text_hex(from[3]));
            from += 3;
        } else {
            return -EINVAL;
        }
    }
    *to = 0;
    return 0;
}

static int text_apply(struct vireo_config *c, char *line, size_t len, struct vr_error *err)
{
    bool chosen = *line != '?';
    char *name = line + !chosen, *eq = memchr(line, '=', len);
    if (!eq || text_unescape(eq + 1, len - (size_t)(eq + 1 - line)) < 0) {
        return vr_err(err, -EPROTO, "it is no NAME=VALUE");
    }
    *eq = 0;
    const struct vr_opt *opt = vr_opt_find(vr_config_opts, name);
    if (!opt) {
        return vr_err(err, -EPROTO, "there is no setting '%.40s': written by a newer Vireo?", name);
    }
    if (opt->once) {
        return vr_err(err, -EPROTO, "'%s' is about one start, and never saved", name);
    }
    int r = chosen ? vr_config_apply(c, opt, eq + 1, err)
                   : vr_config_apply_default(c, opt, eq + 1, "the default when it was saved", err);
    return r < 0 ? vr_err_in(err, r, "%s", name) : 0;
}

static int text_lines(struct vireo_config *c, char *text, size_t len, struct vr_error *err)
{
    size_t head = strlen(TEXT_HEAD);
    unsigned line = 1;
    int r = len >= head && memcmp(text, TEXT_HEAD, head) == 0
                ? 0
                : vr_err(err, -EPROTO, "it does not begin with '%.*s'", (int)head - 1, TEXT_HEAD);
    for (char *at = text + head, *end = text + len, *next; r == 0 && at < end; at = next) {
        char *nl = memchr(at, '\n', (size_t)(end - at));
        if (!nl || ++line > TEXT_LINES) {
            r = vr_err(err, -EPROTO, !nl ? "its last line is not complete" : "too many lines");
            break;
        }
        next = nl + 1;
        r = text_apply(c, at, (size_t)(nl - at), err);
        r = r < 0 ? vr_err_in(err, r, "line %u", line) : r;
    }
    return r;
}

int vireo_config_load(const char *text, size_t len, struct vireo_config **ret_config,
                      struct vr_error *err)
{
    struct vireo_config *c = NULL;
    if (len > TEXT_MAX || memchr(text, 0, len)) {
        return vr_err(err, -EPROTO, "saved configuration: %s",
                      len > TEXT_MAX ? "more than 1 MiB" : "a zero byte in it");
    }
    char *copy = vr_zalloc(len + 1);
    int r = copy ? vireo_config_create(&c, err) : vr_err(err, -ENOMEM, "no memory");
    if (r == 0) {
        memcpy(copy, text, len);
        c->loading = true;
        r = text_lines(c, copy, len, err);
        c->loading = false;
    }
    free(copy);
    if (r < 0) {
        vireo_config_destroy(c);
        return vr_err_in(err, r, "saved configuration");
    }
    *ret_config = c;
    return 0;
}

static int text_said_again(struct vireo_config *to, const struct vr_config_said *s,
                           struct vr_error *err)
{
    return s->why ? vr_config_apply_default(to, s->opt, s->value, s->why, err)
                  : vr_config_apply(to, s->opt, s->value, err);
}

int vr_config_host_of(const struct vireo_config *base, const struct vireo_config *here,
                      struct vireo_config **ret_config, struct vr_error *err)
{
    struct vireo_config *c;
    int r = vireo_config_create(&c, err);
    if (r < 0) {
        return r;
    }
    c->loading = true; /* what @base says was loaded */
    for (unsigned i = 0; r == 0 && i < base->said_count + here->said_count; i++) {
        bool from_base = i < base->said_count;
        const struct vr_config_said *s =
            from_base ? &base->said[i] : &here->said[i - base->said_count];
        r = s->opt->host == !from_base ? text_said_again(c, s, err) : 0;
        r = r < 0 ? vr_err_in(err, r, "--%s", s->opt->name) : 0;
    }
    if (r < 0) {
        vireo_config_destroy(c);
        return r;
    }
    c->loading = false;
    *ret_config = c;
    return 0;
}

int vr_config_override(const struct vireo_config *base, const struct vireo_config *over,
                       struct vireo_config **ret_config, struct vr_error *err)
{
    struct vireo_config *c;
    uint64_t done = 0;
    int r = vireo_config_create(&c, err);
    if (r < 0) {
        return r;
    }
    vr_config_share_classes(over->own_class_count ? over : base, c);
    c->loading = true; /* what @base says was loaded */
    /* Where the first of a name stood in @base, all of @over come; the rest behind. */
    for (unsigned i = 0; r == 0 && i < base->said_count + over->said_count; i++) {
        bool from_base = i < base->said_count;
        const struct vr_config_said *s =
            from_base ? &base->said[i] : &over->said[i - base->said_count];
        uint64_t bit = UINT64_C(1) << (s->opt - vr_config_opts);
        if (!(over->given & bit)) {
            r = from_base ? text_said_again(c, s, err) : 0;
        } else if (!(done & bit)) {
            done |= bit;
            for (unsigned k = 0; r == 0 && k < over->said_count; k++) {
                if (over->said[k].opt == s->opt && !over->said[k].why) {
                    r = vr_config_apply(c, s->opt, over->said[k].value, err);
                }
            }
        }
        r = r < 0 ? vr_err_in(err, r, "--%s", s->opt->name) : 0;
    }
    if (r < 0) {
        vireo_config_destroy(c);
        return r;
    }
    c->loading = false;
    vireo_config_on_log(c, over->log_level, over->log_fn, over->log_opaque);
    *ret_config = c;
    return 0;
}

int vr_config_disk_move(struct vireo_config *c, unsigned disk, const char *path,
                        struct vr_error *err)
{
    const char *old = c->disk[disk].path;
    struct text_out value = {0};
    unsigned index = 0;
    for (unsigned i = 0; i < c->said_count; i++) {
        struct vr_config_said *s = &c->said[i];
        bool cdrom = strcmp(s->opt->name, "cdrom") == 0;
        if ((!cdrom && strcmp(s->opt->name, "disk") != 0) || index++ != disk) {
            continue;
        }
        vr_assert(old);
        /* What stands behind the path: up to the first comma that is not doubled. */
        const char *rest = s->value;
        while (!cdrom && *rest && (*rest != ',' || rest[1] == ',')) {
            rest += *rest == ',' ? 2 : 1;
        }
        for (const char *p = path; *p; p++) {
            text_put(&value, *p == ',' && !cdrom ? ",," : p, *p == ',' && !cdrom ? 2 : 1);
        }
        text_puts(&value, cdrom ? "" : rest);
        char *copy = strdup(path);
        if (value.failed || !copy) {
            free(value.buf);
            free(copy);
            return vr_err(err, -ENOMEM, "no memory");
        }
        free(s->value);
        s->value = value.buf;
        free(c->disk[disk].path);
        c->disk[disk].path = copy;
        return 0;
    }
    return vr_err(err, -EINVAL, "no setting made disk %u", disk);
}

int vr_config_copy(const struct vireo_config *c, struct vireo_config **ret_config,
                   struct vr_error *err)
{
    char *text;
    int r = vireo_config_save(c, &text, err);
    if (r == 0) {
        r = vireo_config_load(text, strlen(text), ret_config, err);
        vireo_config_text_free(text);
    }
    if (r == 0) {
        vr_config_share_classes(c, *ret_config);
    }
    return r;
}
