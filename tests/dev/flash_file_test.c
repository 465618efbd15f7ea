/*
 * Files behind flash: what is read from them, what comes back into them and when, and files that
 * cannot be flash.
 */
#include "board/flash_file.h"
#include "dev/misc/pflash_cfi.h"

#include "base/bits.h"
#include "rig.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = VR_PFLASH_SECTOR_LEN };
#define FLASH_GPA UINT64_C(0x22000000)

static char dir[] = "/tmp/vireo-flash-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (!mkdtemp(dir)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/vars", dir);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void make_file(size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (size_t i = 0; i < len; i++) {
        (void)putc((int)(i % 251), f);
    }
    assert_int_equal(fclose(f), 0);
}

static uint64_t file_len(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* The 32 bits at @off of the file. */
static uint32_t file_word(uint64_t off)
{
    uint8_t b[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = pread(fd, b, 4, (off_t)off);
    (void)close(fd);
    return n == 4 ? vr_load_le32(b) : 0;
}

struct bank {
    struct rig rig;
    struct vr_log log;
    unsigned errors, warnings; /* logged */
    struct vr_ram *ram;
    struct vr_dev *dev;
    struct vr_flash_file *file;
};

static void note(void *opaque, enum vr_level level, const char *who, const char *line)
{
    struct bank *b = opaque;
    assert_string_equal(who, "flash");
    assert_non_null(strstr(line, path));
    if (level == VR_ERROR) {
        __atomic_fetch_add(&b->errors, 1, __ATOMIC_SEQ_CST);
    } else {
        __atomic_fetch_add(&b->warnings, 1, __ATOMIC_SEQ_CST);
    }
}

static void open_bank(struct bank *b)
{
    struct vr_error err = {0};
    memset(b, 0, sizeof(*b));
    rig_init(&b->rig);
    b->log = (struct vr_log){.level = VR_DEBUG, .sink = note, .opaque = b};
    assert_int_equal(vr_ram_create("flash", VR_PFLASH_LEN, &b->ram, NULL), 0);
    b->dev = rig_dev(&b->rig, &vr_pflash_cfi_class, NULL);
    if (vr_flash_file_open(path, false, &b->log, b->ram->hva, &b->file, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vr_pflash_attach(b->dev, b->ram, 0);
    assert_int_equal(vr_pflash_map(b->dev, b->rig.env.mem, FLASH_GPA, NULL), 0);
    assert_int_equal(vr_flash_file_keep(b->file, b->dev, NULL), 0);
}

static void close_bank(struct bank *b)
{
    vr_flash_file_close(b->file);
    vr_dev_destroy(b->dev);
    vr_ram_destroy(b->ram);
    rig_fini(&b->rig);
}

static void program(struct bank *b, uint64_t off, uint32_t val)
{
    vr_dev_write(b->dev, 0, off, 4, 0x400040);
    vr_dev_write(b->dev, 0, off, 4, val);
    vr_dev_write(b->dev, 0, off, 4, 0xff00ff);
}

static void erase(struct bank *b, uint64_t off)
{
    vr_dev_write(b->dev, 0, off, 4, 0x200020);
    vr_dev_write(b->dev, 0, off, 4, 0xd000d0);
    vr_dev_write(b->dev, 0, off, 4, 0xff00ff);
}

static void what_is_read(void **state)
{
    uint8_t *hva = malloc(VR_PFLASH_LEN);
    struct vr_flash_file *f;
    (void)state;
    assert_non_null(hva);
    make_file(1000);
    assert_int_equal(vr_flash_file_read(path, hva, NULL), 0);
    assert_int_equal(hva[999], 999 % 251);
    assert_int_equal(hva[1000], 0xff);
    assert_int_equal(hva[VR_PFLASH_LEN - 1], 0xff);
    make_file(0);
    memset(hva, 0, VR_PFLASH_LEN);
    assert_int_equal(vr_flash_file_open(path, false, NULL, hva, &f, NULL), 0);
    assert_int_equal(hva[0], 0xff);
    assert_int_equal(hva[VR_PFLASH_LEN - 1], 0xff);
    vr_flash_file_close(f);
    assert_int_equal(file_len(), 0); /* looked at only */
    make_file(VR_PFLASH_LEN);
    assert_int_equal(vr_flash_file_read(path, hva, NULL), 0);
    assert_int_equal(hva[VR_PFLASH_LEN - 1], (VR_PFLASH_LEN - 1) % 251);
    free(hva);
}

static void refused(const char *name, int code, const char *words, bool vars_too)
{
    struct vr_error err = {0};
    struct vr_flash_file *f = NULL;
    uint8_t *hva = malloc(VR_PFLASH_LEN);
    assert_non_null(hva);
    assert_int_equal(vr_flash_file_read(name, hva, &err), code);
    assert_non_null(strstr(err.msg, words));
    assert_non_null(strstr(err.msg, name));
    if (vars_too) {
        err = (struct vr_error){0};
        assert_int_equal(vr_flash_file_open(name, false, NULL, hva, &f, &err), code);
        assert_non_null(strstr(err.msg, words));
        assert_non_null(strstr(err.msg, name));
    }
    free(hva);
}

static void what_is_no_flash(void **state)
{
    (void)state;
    (void)unlink(path);
    refused(path, -ENOENT, "No such file", true);
    refused(dir, -EISDIR, "is a directory", true);
    refused("/dev/null", -EINVAL, "not a regular file", true);
    make_file(0);
    refused(path, -EINVAL, "is empty", false);
    assert_int_equal(truncate(path, VR_PFLASH_LEN + 1), 0);
    refused(path, -EFBIG, "33554433 bytes", true);
}

static void one_user_at_a_time(void **state)
{
    struct vr_flash_file *a, *b;
    struct vr_error err = {0};
    uint8_t *hva = malloc(VR_PFLASH_LEN);
    (void)state;
    assert_non_null(hva);
    make_file(100);
    assert_int_equal(vr_flash_file_open(path, false, NULL, hva, &a, NULL), 0);
    assert_int_equal(vr_flash_file_open(path, false, NULL, hva, &b, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "in use"));
    assert_int_equal(vr_flash_file_open(path, true, NULL, hva, &b, &err), -EBUSY);
    assert_int_equal(vr_flash_file_read(path, hva, NULL), 0); /* code has no lock */
    vr_flash_file_close(a);
    assert_int_equal(vr_flash_file_open(path, true, NULL, hva, &a, NULL), 0);
    assert_int_equal(vr_flash_file_open(path, true, NULL, hva, &b, NULL), 0);
    vr_flash_file_close(a);
    vr_flash_file_close(b);
    free(hva);
}

/* Nobody asks for it, and the file has it. */
static void changes_come_soon(void **state)
{
    struct bank b;
    (void)state;
    make_file(VR_PFLASH_LEN);
    open_bank(&b);
    erase(&b, 3 * SECTOR);
    program(&b, 3 * SECTOR + 16, 0x12345678);
    uint64_t until_ns = vireo_monotonic_ns() + UINT64_C(20000000000);
    while (file_word(3 * SECTOR + 16) != 0x12345678) {
        assert_true(vireo_monotonic_ns() < until_ns);
        (void)usleep(1000);
    }
    assert_int_equal(file_word(3 * SECTOR + 20), 0xffffffff);
    assert_int_equal(file_len(), VR_PFLASH_LEN);
    program(&b, 3 * SECTOR + 20, 7);
    assert_true(vr_flash_file_flush(b.file)); /* and now at once */
    assert_int_equal(file_word(3 * SECTOR + 20), 7);
    program(&b, 3 * SECTOR + 24, 8);
    close_bank(&b);
    assert_int_equal(file_word(3 * SECTOR + 24), 8);
    assert_int_equal(b.errors + b.warnings, 0);
}

/* A file that holds less than the flash grows to what was written, and no further. */
static void short_files_grow(void **state)
{
    struct bank b;
    (void)state;
    make_file(100);
    open_bank(&b);
    program(&b, 5 * SECTOR, 0x11223344);
    assert_true(vr_flash_file_flush(b.file));
    assert_int_equal(file_len(), 6 * SECTOR);
    assert_int_equal(file_word(0), 0x03020100);
    assert_int_equal(file_word(100), 0xffffffff);
    assert_int_equal(file_word(2 * SECTOR), 0xffffffff);
    assert_int_equal(file_word(5 * SECTOR), 0x11223344);
    close_bank(&b);
    open_bank(&b);
    assert_int_equal(vr_load_le32(b.ram->hva + 5 * SECTOR), 0x11223344);
    assert_int_equal(vr_load_le32(b.ram->hva + 4 * SECTOR), 0xffffffff);
    close_bank(&b);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    was.rlim_cur = bytes < was.rlim_max ? bytes : was.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
}

/* Said once; nothing is lost while the machine lives, and it works out when there is room again. */
static void failures_are_said_and_mended(void **state)
{
    struct bank b;
    (void)state;
    make_file(0);
    open_bank(&b);
    limit_files(SECTOR);
    program(&b, 2 * SECTOR, 0xabcd);
    bool flushed = vr_flash_file_flush(b.file), again = vr_flash_file_flush(b.file);
    unsigned errors = __atomic_load_n(&b.errors, __ATOMIC_SEQ_CST);
    limit_files(RLIM_INFINITY);
    assert_false(flushed || again);
    assert_int_equal(errors, 1);
    assert_true(vr_flash_file_flush(b.file));
    assert_int_equal(file_word(2 * SECTOR), 0xabcd);
    assert_int_equal(__atomic_load_n(&b.warnings, __ATOMIC_SEQ_CST), 1);
    limit_files(SECTOR);
    program(&b, 9 * SECTOR, 1);
    vr_flash_file_close(b.file);
    b.file = NULL;
    errors = __atomic_load_n(&b.errors, __ATOMIC_SEQ_CST);
    limit_files(RLIM_INFINITY);
    assert_int_equal(errors, 3); /* it failed, and it is lost */
    close_bank(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read),       cmocka_unit_test(what_is_no_flash),
        cmocka_unit_test(one_user_at_a_time), cmocka_unit_test(changes_come_soon),
        cmocka_unit_test(short_files_grow),   cmocka_unit_test(failures_are_said_and_mended),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
