/* Configurations as text: every option of the table comes back as it was, and text from anywhere is
 * refused or harmless. */
#include "base/bits.h"
#include "control/config.h"
#include "test.h"
#include "vr_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Two values for an option that repeats: both have to come back. */
static const struct {
    const char *key, *value[2];
} text_samples[] = {
    {"kernel", {"boot/Image"}},
    {"initrd", {"/boot/initrd"}},
    {"append", {"root=/dev/vda quiet", "a\\b=\"c\nd\"\x01\x7f \xc3\xa4"}},
    {"root", {"dir,,with=odd,ro,cache=always,uid=7"}},
    {"firmware", {"fw.bin"}},
    {"flash", {"code.fd"}},
    {"flash-vars", {"../vars.fd"}},
    {"machine", {"virt,aia=aplic-imsic,virtio=mmio"}},
    {"memory", {"96M"}},
    {"cpus", {"7"}},
    {"io-threads", {"4"}},
    {"huge-pages", {"2M"}},
    {"numa-node", {"0"}},
    {"pin", {"spread"}},
    {"mmu", {"sv57"}},
    {"engine", {"interp"}},
    {"mirror", {"always"}},
    {"jit", {"hot=3", "code=1M,dump=0x1000-0x2000,stats"}},
    {"name", {"web.1"}},
    {"control", {"unix:sock"}},
    {"no-reboot", {"on"}},
    {"rng", {"rate=64K"}},
    {"power-button", {"on"}},
    {"balloon", {"take=16M,reporting=off"}},
    {"deterministic", {"7"}},
    {"trace-insn", {"trace.txt"}},
    {"device", {"virtio-rng-pci,rate=5", "pci-root-port"}},
    {"watchdog", {"i6300esb,action=pause"}},
    {"disk", {"path=a,,b=c.img,ro,serial=S1", "x.img,bus=scsi"}},
    {"cdrom", {"none", "disc.iso"}},
    {"net", {"user,hostfwd=tcp::2222-:22,mac=52:54:00:11:22:33", "user,restrict"}},
    {"share", {"dir:tag,ro,locks", "path=/srv,gid=5"}},
    {"publish", {"8080:80", "127.0.0.1:53:53/udp"}},
    {"console", {"file:log,with comma"}},
    {"virtio-console", {"unix:a,,b,name=org.x", "null"}},
};

static void text_same(const char *a, const char *b)
{
    if (a && b) {
        assert_string_equal(a, b);
    }
    assert_true(!a == !b);
}

static void text_same_path(const char *a, const char *b)
{
    char cwd[2048], all[4096];
    size_t size = sizeof(cwd);
    assert_int_equal(uv_cwd(cwd, &size), 0);
    snprintf(all, sizeof(all), "%s/%s", cwd, a ? a : "");
    text_same(a && a[0] != '/' ? all : a, b);
}

static void text_same_share(const struct vr_virt_share *a, const struct vr_virt_share *b)
{
    text_same_path(a->path, b->path);
    text_same(a->tag, b->tag);
    assert_true(a->read_only == b->read_only && a->host_locks == b->host_locks);
    assert_true(a->cache == b->cache && a->uid == b->uid && a->gid == b->gid);
}

static void text_same_spec(const char *a, const char *b)
{
    size_t head = a && (strncmp(a, "file:", 5) == 0 || strncmp(a, "unix:", 5) == 0) ? 5 : 0;
    if (head) {
        assert_memory_equal(a, b, head);
        text_same_path(a + head, b + head);
    } else {
        text_same(a, b);
    }
}

/* Everything that a machine is built from. */
static void text_same_config(const struct vireo_config *a, const struct vireo_config *b)
{
    text_same(a->name, b->name);
    text_same_spec(a->control, b->control);
    text_same_path(a->kernel, b->kernel);
    text_same_path(a->initrd, b->initrd);
    text_same(a->append, b->append);
    text_same_path(a->firmware, b->firmware);
    text_same_path(a->flash, b->flash);
    text_same_path(a->flash_vars, b->flash_vars);
    text_same_spec(a->console, b->console);
    text_same_path(a->trace_insn, b->trace_insn);
    assert_int_equal(a->port_count, b->port_count);
    for (unsigned i = 0; i < a->port_count; i++) {
        text_same_spec(a->port[i], b->port[i]);
        text_same(a->port_name[i], b->port_name[i]);
    }
    assert_int_equal(a->device_count, b->device_count);
    for (unsigned i = 0; i < a->device_count; i++) {
        text_same(a->device[i].cls, b->device[i].cls);
        text_same(a->device[i].opts, b->device[i].opts);
    }
    assert_int_equal(a->disk_count, b->disk_count);
    for (unsigned i = 0; i < a->disk_count; i++) {
        const struct vr_config_disk *x = &a->disk[i], *y = &b->disk[i];
        text_same_path(x->path, y->path);
        text_same(x->opts, y->opts);
        assert_true(x->read_only == y->read_only && x->raw == y->raw && x->scsi == y->scsi &&
                    x->cdrom == y->cdrom);
    }
    assert_int_equal(a->net_count, b->net_count);
    for (unsigned i = 0; i < a->net_count; i++) {
        text_same(a->net[i].backend, b->net[i].backend);
        text_same(a->net[i].opts, b->net[i].opts);
    }
    assert_int_equal(a->share_count, b->share_count);
    for (unsigned i = 0; i < a->share_count; i++) {
        text_same_share(&a->share[i], &b->share[i]);
    }
    text_same_share(&a->root, &b->root);
    text_same(a->publish, b->publish);
    text_same(a->rng_opts, b->rng_opts);
    text_same(a->balloon_opts, b->balloon_opts);
    assert_true(a->engine == b->engine && a->mmu == b->mmu && a->aia == b->aia);
    assert_true(a->virtio_mmio == b->virtio_mmio && a->cpus == b->cpus);
    assert_true(a->memory_bytes == b->memory_bytes && a->balloon_bytes == b->balloon_bytes);
    assert_true(a->jit.hot == b->jit.hot && a->jit.code_bytes == b->jit.code_bytes);
    assert_true(a->jit.mirror == b->jit.mirror && a->jit_perf == b->jit_perf);
    assert_true(a->jit_stats == b->jit_stats && a->jit_dump_begin == b->jit_dump_begin);
    assert_true(a->jit_dump_end == b->jit_dump_end && a->no_reboot == b->no_reboot);
    assert_true(a->no_rng == b->no_rng && a->balloon == b->balloon);
    assert_true(a->power_button == b->power_button && a->given == b->given);
    assert_memory_equal(&a->use, &b->use, sizeof(a->use));
}

static char *text_of(const struct vireo_config *c)
{
    char *text = NULL;
    struct vr_error err;
    assert_int_equal(vireo_config_save(c, &text, &err), 0);
    return text;
}

/* @c comes back the same, and its text as well. */
static void text_round(const struct vireo_config *c)
{
    struct vireo_config *back;
    struct vr_error err = {0};
    char *text = text_of(c);
    if (vireo_config_load(text, strlen(text), &back, &err) < 0) {
        fail_msg("%s\n%s", err.msg, text);
    }
    text_same_config(c, back);
    char *again = text_of(back);
    assert_string_equal(text, again);
    vireo_config_text_free(again);
    vireo_config_text_free(text);
    vireo_config_destroy(back);
}

static bool text_have(const struct vr_opt *opt)
{
    for (unsigned i = 0; i < VR_COUNT(text_samples); i++) {
        if (strcmp(text_samples[i].key, opt->name) == 0) {
            return true;
        }
    }
    return false;
}

static void text_set(struct vireo_config *c, unsigned sample)
{
    struct vr_error err;
    for (unsigned v = 0; v < 2 && text_samples[sample].value[v]; v++) {
        const char *value = text_samples[sample].value[v];
        if (!VR_HAVE_SLIRP && strcmp(text_samples[sample].key, "net") == 0) {
            break;
        }
        if (vireo_config_set(c, text_samples[sample].key, value, &err) < 0) {
            fail_msg("%s=%s: %s", text_samples[sample].key, value, err.msg);
        }
    }
}

static void test_each(void **state)
{
    struct vireo_config *c, *all;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_config_create(&all, &err), 0);
    text_round(all);
    for (const struct vr_opt *o = vr_config_opts; o->name; o++) {
        if (!o->once && !text_have(o)) {
            fail_msg("no sample of option '%s' here: add one", o->name);
        }
    }
    for (unsigned i = 0; i < VR_COUNT(text_samples); i++) {
        assert_int_equal(vireo_config_create(&c, &err), 0);
        text_set(c, i);
        text_set(all, i);
        text_round(c);
        vireo_config_destroy(c);
    }
    text_round(all);
    assert_int_equal(vr_config_command_defaults(all, false, &err), 0);
    text_round(all);
    vireo_config_destroy(all);
    vireo_config_text_free(NULL);
}

/* How a machine starts this time is not among what is saved. */
static void test_once(void **state)
{
    struct vireo_config *c;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_config_create(&c, &err), 0);
    assert_int_equal(vireo_config_set(c, "snapshot", "x.vsnap", &err), 0);
    assert_int_equal(vireo_config_set(c, "snapshot-disks", "keep", &err), 0);
    assert_int_equal(vireo_config_set(c, "snapshot-copy", "on", &err), 0);
    char *text = text_of(c);
    assert_null(strstr(text, "snapshot"));
    vireo_config_text_free(text);
    /* Nor where a debugger may come, and that it is waited for; nor the file of a recording, which
     * leaves a deterministic machine. */
    assert_int_equal(vireo_config_set(c, "gdb", "unix:debug", &err), 0);
    assert_int_equal(vireo_config_set(c, "paused", "on", &err), 0);
    assert_int_equal(vireo_config_set(c, "record", "tape", &err), 0);
    text = text_of(c);
    assert_null(strstr(text, "debug"));
    assert_null(strstr(text, "paused"));
    assert_null(strstr(text, "tape"));
    assert_non_null(strstr(text, "\ndeterministic=on\n"));
    vireo_config_text_free(text);
    vireo_config_destroy(c);
}

static void test_override(void **state)
{
    struct vireo_config *base, *over, *both;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_config_create(&base, &err), 0);
    assert_int_equal(vireo_config_create(&over, &err), 0);
    assert_int_equal(vireo_config_set(base, "disk", "/a,,b,ro,serial=1", &err), 0);
    assert_int_equal(vireo_config_set(base, "memory", "64M", &err), 0);
    assert_int_equal(vireo_config_set(base, "cdrom", "/c", &err), 0);
    assert_int_equal(vr_config_command_defaults(base, false, &err), 0);
    assert_int_equal(vireo_config_set(over, "name", "other", &err), 0);
    assert_int_equal(vr_config_override(base, over, &both, &err), 0);
    assert_int_equal(both->disk_count, 2);
    assert_string_equal(both->name, "other");
    assert_int_equal(both->memory_bytes, 64 << 20);
    assert_string_equal(both->console, "stdio");
    assert_false(vr_config_given(both, "console"));
    assert_int_equal(vr_config_disk_move(both, 0, "/x,y", &err), 0);
    assert_int_equal(vr_config_disk_move(both, 1, "/z,1", &err), 0);
    char *text = text_of(both);
    assert_non_null(strstr(text, "\ndisk=/x,,y,ro,serial=1\n"));
    assert_non_null(strstr(text, "\ncdrom=/z,1\n"));
    text_round(both);
    vireo_config_text_free(text);
    vireo_config_destroy(both);
    /* Those given replace all of the kind, in their place. */
    assert_int_equal(vireo_config_set(over, "disk", "/d", &err), 0);
    assert_int_equal(vireo_config_set(over, "disk", "/e", &err), 0);
    assert_int_equal(vr_config_override(base, over, &both, &err), 0);
    assert_int_equal(both->disk_count, 3);
    assert_string_equal(both->disk[1].path, "/e");
    assert_string_equal(both->disk[2].path, "/c");
    vireo_config_destroy(both);
    vireo_config_destroy(base);
    vireo_config_destroy(over);
}

/* How a host runs a machine does not come with it. */
static void test_host(void **state)
{
    static const struct {
        const char *name, *theirs, *mine;
    } rows[] = {
        {"huge-pages", "2M", "off"}, {"numa-node", "0", "any"},      {"pin", "compact", "none"},
        {"mirror", "always", "off"}, {"jit", "perf,stats", "hot=9"}, {"trace-insn", "/t", "/u"},
    };
    struct vireo_config *came, *here, *none, *is;
    struct vr_error err;
    unsigned host = 0;
    (void)state;
    assert_int_equal(vireo_config_create(&came, &err), 0);
    assert_int_equal(vireo_config_create(&here, &err), 0);
    assert_int_equal(vireo_config_create(&none, &err), 0);
    assert_int_equal(vireo_config_set(came, "memory", "64M", &err), 0);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        assert_int_equal(vireo_config_set(came, rows[i].name, rows[i].theirs, &err), 0);
        assert_int_equal(vireo_config_set(here, rows[i].name, rows[i].mine, &err), 0);
    }
    assert_int_equal(vireo_config_set(here, "memory", "65M", &err), 0);
    for (const struct vr_opt *o = vr_config_opts; o->name; o++) {
        host += o->host;
    }
    assert_int_equal(host, VR_COUNT(rows));
    assert_int_equal(vr_config_host_of(came, none, &is, &err), 0);
    assert_int_equal(is->said_count, 1);
    assert_true(is->memory_bytes == 64 << 20 && !is->jit_perf && !is->trace_insn);
    vireo_config_destroy(is);
    assert_int_equal(vr_config_host_of(came, here, &is, &err), 0);
    assert_int_equal(is->said_count, 1 + VR_COUNT(rows));
    assert_true(is->memory_bytes == 64 << 20 && !is->jit_perf && is->jit.hot == 9);
    assert_string_equal(is->trace_insn, "/u");
    vireo_config_destroy(is);
    /* What the command takes by default, nobody chose. */
    assert_int_equal(vr_config_command_defaults(none, true, &err), 0);
    assert_int_equal(vr_config_host_of(came, none, &is, &err), 0);
    assert_false(vr_config_given(is, "mirror"));
    assert_int_not_equal(is->jit.mirror, VR_JIT_MIRROR_OFF);
    vireo_config_destroy(is);
    vireo_config_destroy(came);
    vireo_config_destroy(here);
    vireo_config_destroy(none);
}

/* What a later setting undid is not in the text; the order of devices is. */
static void test_order(void **state)
{
    struct vireo_config *c;
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_config_create(&c, &err), 0);
    assert_int_equal(vr_config_command_defaults(c, false, &err), 0);
    assert_int_equal(vireo_config_set(c, "memory", "64M", &err), 0);
    assert_int_equal(vireo_config_set(c, "memory", "65M", &err), 0);
    assert_int_equal(vireo_config_set(c, "cdrom", "none", &err), 0);
    assert_int_equal(vireo_config_set(c, "disk", "a,bus=scsi", &err), 0);
    assert_int_equal(vireo_config_set(c, "cdrom", "b", &err), 0);
    char *text = text_of(c);
    assert_null(strstr(text, "64M"));
    assert_non_null(strstr(text, "\nmemory=65M\ncdrom=none\ndisk=/"));
    assert_non_null(strstr(text, "\n?cpus=1\n"));
    vireo_config_text_free(text);
    text_round(c);
    vireo_config_destroy(c);
}

/* A socket's name is made absolute wherever it stands among the keys. */
static void test_stream(void **state)
{
    static const char *const values[] = {"stream,path=sock",
                                         "stream,mac=52:54:00:11:22:33,path=sock"};
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(values); i++) {
        struct vireo_config *c, *back;
        struct vr_error err;
        assert_int_equal(vireo_config_create(&c, &err), 0);
        assert_int_equal(vireo_config_set(c, "net", values[i], &err), 0);
        assert_int_equal(vr_config_copy(c, &back, &err), 0);
        static const char head[] = "stream,path=";
        assert_memory_equal(back->net[0].backend, head, strlen(head));
        text_same_path("sock", back->net[0].backend + strlen(head));
        text_same(c->net[0].opts, back->net[0].opts);
        vireo_config_destroy(back);
        vireo_config_destroy(c);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *says;
    } rows[] = {
        {"", -EPROTO, "does not begin with"},
        {"vireo-config 2\n", -EPROTO, "does not begin with"},
        {"vireo-config 1\ncpus", -EPROTO, "not complete"},
        {"vireo-config 1\ncpus\n", -EPROTO, "line 2: it is no NAME"},
        {"vireo-config 1\n\n", -EPROTO, "line 2"},
        {"vireo-config 1\ncpus=1\nspeed=9\n", -EPROTO, "line 3: there is no setting 'speed'"},
        {"vireo-config 1\ncpus=99\n", -ERANGE, "line 2: cpus: expected 1 to 64"},
        {"vireo-config 1\n?cpus=0\n", -ERANGE, "line 2"},
        {"vireo-config 1\nappend=a\\q\n", -EPROTO, "line 2"},
        {"vireo-config 1\nappend=a\\x0\n", -EPROTO, "line 2"},
        {"vireo-config 1\nappend=a\\x00\n", -EPROTO, "line 2"},
        {"vireo-config 1\nappend=a\\\n", -EPROTO, "line 2"},
        {"vireo-config 1\n=1\n", -EPROTO, "no setting ''"},
    };
    struct vireo_config *c = NULL;
    struct vr_error err;
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        err.msg[0] = 0;
        assert_int_equal(vireo_config_load(rows[i].text, strlen(rows[i].text), &c, &err),
                         rows[i].code);
        if (!strstr(err.msg, rows[i].says)) {
            fail_msg("row %u: no '%s' in '%s'", i, rows[i].says, err.msg);
        }
        assert_null(c);
    }
    assert_int_equal(vireo_config_load("vireo-config 1\0", 16, &c, &err), -EPROTO);
}

/* Each byte of a long text changed in some way, and each cut: refused, or a configuration. */
static void test_damaged(void **state)
{
    struct vireo_config *c, *back;
    struct vr_error err;
    unsigned good = 0, bad = 0;
    (void)state;
    assert_int_equal(vireo_config_create(&c, &err), 0);
    for (unsigned i = 0; i < VR_COUNT(text_samples); i++) {
        text_set(c, i);
    }
    char *text = text_of(c);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        static const char to[] = {0, '\n', '=', '\\', ',', 'x', '\x80'};
        char was = text[i];
        for (size_t k = 0; k <= sizeof(to); k++) {
            text[i] = k < sizeof(to) ? to[k] : was;
            int r = vireo_config_load(text, k < sizeof(to) ? len : i, &back, &err);
            if (r == 0) {
                text_round(back);
                vireo_config_destroy(back);
            }
            good += r == 0;
            bad += r < 0;
        }
        text[i] = was;
    }
    assert_true(good > 0 && bad > len);
    vireo_config_text_free(text);
    vireo_config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),     cmocka_unit_test(test_once),
        cmocka_unit_test(test_override), cmocka_unit_test(test_order),
        cmocka_unit_test(test_stream),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests_name("config_text", tests, NULL, NULL);
}
