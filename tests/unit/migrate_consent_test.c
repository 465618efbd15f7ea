/* Which files a machine that comes may open here: every setting that names one, and names that lead
 * out of the folders that were given. */
#include "test.h"

#include "base/bits.h"
#include "control/config.h"
#include "control/migrate_rx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT = 256 };

struct fixture {
    char top[32], in[64], out[64];
};

static void path_in(char *path, const char *folder, const char *name)
{
    assert_true(snprintf(path, TEXT, "%s/%s", folder, name) < TEXT);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[TEXT];
    assert_non_null(f);
    strcpy(f->top, "/tmp/vireo-consent-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    snprintf(f->in, sizeof(f->in), "%s/in", f->top);
    snprintf(f->out, sizeof(f->out), "%s/in2", f->top); /* begins like the other */
    for (const char **folder = (const char *[]){f->in, f->out, NULL}; *folder; folder++) {
        assert_int_equal(mkdir(*folder, 0700), 0);
        path_in(path, *folder, "file");
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
    }
    path_in(path, f->in, "link");
    assert_int_equal(symlink("../in2/file", path), 0);
    path_in(path, f->in, "away");
    assert_int_equal(symlink(f->out, path), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[TEXT];
    snprintf(command, sizeof(command), "rm -r '%s'", f->top);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* A configuration of @key=@value, of "incoming-files"=@folder, or of neither. */
static struct vireo_config *config(const char *key, const char *value, const char *folder)
{
    struct vireo_config *c;
    struct vr_error err = {0};
    assert_int_equal(vireo_config_create(&c, NULL), 0);
    if (key && vireo_config_set(c, key, value, &err) < 0) {
        fail_msg("%s=%s: %s", key, value, err.msg);
    }
    if (folder) {
        assert_int_equal(vireo_config_set(c, "incoming-files", folder, &err), 0);
    }
    return c;
}

/* What comes of @key=@value at a side that was given @folder and @mine=@my_value. */
static int consent(const char *key, const char *value, const char *folder, const char *mine,
                   const char *my_value, bool unix_socket)
{
    struct vireo_config *base = config(key, value, NULL), *m = config(mine, my_value, folder), *c;
    struct vr_error err = {0};
    assert_int_equal(vr_config_override(base, m, &c, NULL), 0);
    int r = vr_mig_consent(c, m, unix_socket, &err);
    assert_true(r == 0 ||
                (r == -EACCES && strstr(err.msg, "--incoming-files") && strstr(err.msg, key)));
    vireo_config_destroy(base);
    vireo_config_destroy(m);
    vireo_config_destroy(c);
    return r;
}

static const struct {
    const char *key;
    char format[40];
} settings[] = {
    {"kernel", "%s"},
    {"initrd", "%s"},
    {"root", "%s,ro"},
    {"firmware", "%s"},
    {"flash", "%s"},
    {"flash-vars", "%s"},
    {"record", "%s"},
    {"replay", "%s"},
    {"trace-insn", "%s"},
    {"disk", "%s"},
    {"disk", "path=%s,ro"},
    {"disk", "%s,bus=scsi"},
    {"cdrom", "%s"},
    {"share", "%s:tag"},
    {"net", "stream,path=%s"},
    {"console", "file:%s"},
    {"console", "unix:%s"},
    {"virtio-console", "file:%s,name=x"},
    {"control", "unix:%s"},
    {"gdb", "unix:%s"},
    {"device", "virtio-blk-pci,path=%s"},
    {"device", "virtio-fs-pci,path=%s"},
    {"device", "virtio-net-pci,path=%s"},
    {"device", "virtio-console-pci,path=file:%s"},
    {"device", "scsi-hd,path=%s"},
    {"device", "scsi-cd,path=%s"},
};

static void every_setting_that_names_a_file_needs_consent(void **state)
{
    const struct fixture *f = *state;
    for (unsigned i = 0; i < VR_COUNT(settings); i++) {
        const char *key = settings[i].key;
        char in[TEXT], out[TEXT], path[TEXT];
        path_in(path, f->in, "file");
        snprintf(in, sizeof(in), settings[i].format, path);
        path_in(path, f->out, "file");
        snprintf(out, sizeof(out), settings[i].format, path);
        assert_int_equal(consent(key, in, f->in, NULL, NULL, false), 0);
        assert_int_equal(consent(key, in, NULL, NULL, NULL, false), -EACCES);
        assert_int_equal(consent(key, out, f->in, NULL, NULL, false), -EACCES);
        assert_int_equal(consent(key, out, "/", NULL, NULL, false), 0);
        assert_int_equal(consent(key, out, f->in, NULL, NULL, true), -EACCES);
        assert_int_equal(consent(key, out, NULL, NULL, NULL, true), 0); /* this user's own */
        assert_int_equal(consent(key, out, f->in, key, out, false), 0); /* named here */
    }
}

/* Help that speaks of the name of something in a value, or a word that begins one. */
static bool names_a_file(const struct vr_opt *opt)
{
    static const char *const marks[] = {"PATH", "FILE", "DIR", "SPEC", "unix:", "file:"};
    struct vr_opt_key key;
    bool does = opt->kind == VR_OPT_FILE || opt->apply == vr_config_device;
    for (unsigned m = 0; m < VR_COUNT(marks); m++) {
        does |= opt->value && strstr(opt->value, marks[m]);
        does |= opt->words && strstr(opt->words, marks[m]);
        for (unsigned i = 0; vr_config_key(opt, i, &key); i++) {
            does |= key.value && strstr(key.value, marks[m]);
        }
    }
    return does;
}

/* A new option cannot be forgotten: it is about one start, and does not come, or it is above. */
static void each_option_that_names_a_file_is_tried(void **state)
{
    (void)state;
    for (const struct vr_opt *o = vr_config_opts; o->name; o++) {
        bool tried = o->once;
        for (unsigned i = 0; i < VR_COUNT(settings); i++) {
            tried |= strcmp(settings[i].key, o->name) == 0;
        }
        if (!tried && names_a_file(o)) {
            fail_msg("'%s' may name a file: does migrate_consent.c know? Add it here", o->name);
        }
    }
}

static void names_that_lead_out_are_seen_through(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *name;
        int r;
    } names[] = {
        {"file", 0},           {"new", 0}, /* a console's file is made */
        {"link", -EACCES},     {"away/file", -EACCES},
        {"away/new", -EACCES}, {"../in2/file", -EACCES},
        {"../in/file", 0},     {"none/../../in2/file", -EACCES},
        {"..", -EACCES},       {"away/..", -EACCES},
        {"no/such", -EACCES},  {"", 0},
    };
    for (unsigned i = 0; i < VR_COUNT(names); i++) {
        char path[TEXT], text[TEXT + 8];
        path_in(path, f->in, names[i].name);
        snprintf(text, sizeof(text), "file:%s", path);
        assert_int_equal(consent("console", text, f->in, NULL, NULL, false), names[i].r);
        snprintf(text, sizeof(text), "%s/", f->in);
        assert_int_equal(consent("kernel", path, text, NULL, NULL, false), names[i].r);
    }
}

static void what_names_no_file_needs_none(void **state)
{
    static const char *const plain[][2] = {
        {"firmware", "none"}, {"console", "null"}, {"virtio-console", "mem"},
        {"control", "auto"},  {"memory", "128M"},  {"device", "virtio-rng-pci"},
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(plain); i++) {
        assert_int_equal(consent(plain[i][0], plain[i][1], NULL, NULL, NULL, false), 0);
    }
}

static void what_comes_gives_itself_no_consent(void **state)
{
    static const char *const texts[] = {
        "vireo-config 1\nincoming-files=/\n",
        "vireo-config 1\n?incoming-files=/\n",
        "vireo-config 1\nsnapshot=/etc/passwd\n",
        "vireo-config 1\nsnapshot-disks=/tmp\n",
    };
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(texts); i++) {
        struct vireo_config *c;
        struct vr_error err = {0};
        assert_int_equal(vireo_config_load(texts[i], strlen(texts[i]), &c, &err), -EPROTO);
        assert_non_null(strstr(err.msg, "never saved"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(every_setting_that_names_a_file_needs_consent),
        TEST(each_option_that_names_a_file_is_tried),
        TEST(names_that_lead_out_are_seen_through),
        TEST(what_names_no_file_needs_none),
        TEST(what_comes_gives_itself_no_consent),
    };
    return cmocka_run_group_tests_name("migrate_consent", tests, NULL, NULL);
}
