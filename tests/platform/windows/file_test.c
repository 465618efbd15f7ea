/* Files as disks on Windows, and names that are not ASCII. */
#include "test.h"

#include "platform/file.h"
#include "platform/windows/win.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

enum { MIB = 1 << 20 };

static char folder[400];

static int make_folder(void **state)
{
    wchar_t wide[MAX_PATH];
    (void)state;
    if (!GetTempPathW(MAX_PATH, wide)) {
        return -1;
    }
    size_t len = wcslen(wide);
    swprintf(wide + len, MAX_PATH - len, L"vireo-file-%lu", GetCurrentProcessId());
    vr_win_utf8(wide, folder, sizeof(folder));
    return CreateDirectoryW(wide, NULL) ? 0 : -1;
}

static int remove_folder(void **state)
{
    wchar_t *wide;
    (void)state;
    return vr_win_wide(folder, &wide) == 0 && RemoveDirectoryW(wide) ? 0 : -1;
}

static const char *named(char path[500], const char *name)
{
    snprintf(path, 500, "%s\\%s", folder, name);
    return path;
}

static void make_file(const char *path)
{
    wchar_t *wide;
    assert_int_equal(vr_win_wide(path, &wide), 0);
    HANDLE file = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_NEW, 0, NULL);
    assert_ptr_not_equal(file, INVALID_HANDLE_VALUE);
    LARGE_INTEGER size = {.QuadPart = 4 * MIB};
    assert_true(SetFilePointerEx(file, size, NULL, FILE_BEGIN) && SetEndOfFile(file));
    CloseHandle(file);
}

static void remove_file(const char *path)
{
    wchar_t *wide;
    assert_int_equal(vr_win_wide(path, &wide), 0);
    assert_true(DeleteFileW(wide));
}

static void disks_keep_what_is_written(void **state)
{
    char path[500];
    struct vr_file_info info;
    uint8_t a[3000], b[5000], back[8000];
    struct iovec out[] = {{a, sizeof(a)}, {b, 0}, {b, sizeof(b)}}, in = {back, sizeof(back)};
    int fd;
    (void)state;
    make_file(named(path, "\xd1\x84\xd0\xb0\xd0\xb9\xd0\xbb \xf0\x9f\x92\xbe.img"));
    memset(a, 1, sizeof(a));
    memset(b, 2, sizeof(b));
    assert_int_equal(vr_file_open(path, false, &fd, &info), 0);
    assert_int_equal(info.kind, VR_FILE_REGULAR);
    assert_int_equal(info.size_bytes, 4 * MIB);
    assert_int_equal(vr_file_writev(fd, out, 3, 4095), 0);
    assert_int_equal(vr_file_readv(fd, &in, 1, 4095), 0);
    assert_memory_equal(back, a, sizeof(a));
    assert_memory_equal(back + sizeof(a), b, sizeof(b));
    assert_int_equal(vr_file_sync(fd), 0);
    assert_int_equal(vr_file_readv(fd, &in, 1, 4 * MIB - 100), -EIO); /* the file ends */
    int r = vr_file_zero(fd, info.kind, 4096, 1000, false);
    if (r == 0) {
        assert_int_equal(vr_file_readv(fd, &in, 1, 4096), 0);
        assert_int_equal(back[0] + back[999], 0);
        assert_int_equal(back[1000], 1);
    } else {
        assert_int_equal(r, -EOPNOTSUPP); /* callers write zeroes then */
    }
    vr_file_close(fd);
    assert_int_equal(vr_file_open(path, true, &fd, &info), 0);
    assert_true(vr_file_writev(fd, out, 1, 0) < 0);
    assert_int_equal(vr_file_sync(fd), 0);
    vr_file_close(fd);
    remove_file(path);
}

static void locks_are_between_openings(void **state)
{
    char path[500];
    struct vr_file_info info;
    int a, b;
    uint8_t byte = 7;
    struct iovec one = {&byte, 1};
    (void)state;
    make_file(named(path, "locked.img"));
    assert_int_equal(vr_file_open(path, false, &a, &info), 0);
    assert_int_equal(vr_file_open(path, false, &b, &info), 0);
    assert_int_equal(vr_file_lock(a, false), 0);
    assert_int_equal(vr_file_lock(b, false), -EBUSY);
    assert_int_equal(vr_file_lock(b, true), -EBUSY);
    assert_int_equal(vr_file_writev(b, &one, 1, 0), 0); /* it tells, it does not hinder */
    vr_file_close(a);
    assert_int_equal(vr_file_lock(b, true), 0);
    assert_int_equal(vr_file_open(path, true, &a, &info), 0);
    assert_int_equal(vr_file_lock(a, true), 0);
    vr_file_close(a);
    vr_file_close(b);
    remove_file(path);
}

static void what_is_no_disk_is_refused(void **state)
{
    char path[500];
    struct vr_file_info info;
    int fd = 5;
    (void)state;
    assert_int_equal(vr_file_open(named(path, "missing"), false, &fd, &info), -ENOENT);
    assert_int_equal(vr_file_open(folder, false, &fd, &info), -EISDIR);
    assert_int_equal(vr_file_open("\xff\xfe", false, &fd, &info), -EILSEQ);
    assert_true(vr_file_open("NUL", false, &fd, &info) < 0);
    assert_int_equal(fd, 5);
}

static void text_goes_both_ways(void **state)
{
    static const char *const texts[] = {"", "plain", "gr\xc3\xbc\xc3\x9f", "\xf0\x9f\x92\xbe!"};
    char back[32], small[4];
    wchar_t *wide;
    (void)state;
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(vr_win_wide(texts[i], &wide), 0);
        vr_win_utf8(wide, back, sizeof(back));
        assert_string_equal(back, texts[i]);
        vr_win_utf8(wide, small, sizeof(small)); /* cut between characters, never within one */
        assert_int_equal(strncmp(small, texts[i], strlen(small)), 0);
        assert_true(strlen(small) < sizeof(small));
        free(wide);
    }
    assert_int_equal(vr_win_wide("\xc3", &wide), -EILSEQ);
    assert_int_equal(vr_win_wide("\xed\xa0\x80", &wide), -EILSEQ); /* half of a pair */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disks_keep_what_is_written),
        cmocka_unit_test(locks_are_between_openings),
        cmocka_unit_test(what_is_no_disk_is_refused),
        cmocka_unit_test(text_goes_both_ways),
    };
    return cmocka_run_group_tests_name("win_file", tests, make_folder, remove_folder);
}
