/*
 * Files as disks. MSDN: CreateFileW, ReadFile and WriteFile with an offset (OVERLAPPED),
 * LockFileEx, FSCTL_SET_SPARSE, FSCTL_SET_ZERO_DATA. Disks (\\.\PhysicalDrive0) are block devices.
 */
#include "platform/file.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <string.h>
#include <winioctl.h>

/* Windows' locks keep others from reading and writing what is locked. Ours only tell others that
 * somebody is there, so they are on a byte that no file has. */
#define FILE_LOCK_AT (UINT64_MAX >> 1)

enum { FILE_BATCH = 1 << 20 }; /* bytes a call */

static OVERLAPPED file_at(uint64_t off)
{
    return (OVERLAPPED){.Offset = (DWORD)off, .OffsetHigh = (DWORD)(off >> 32)};
}

int vr_file_stat(const char *path, struct vr_file_info *ret_info)
{
    WIN32_FILE_ATTRIBUTE_DATA data;
    wchar_t *wide;
    if (strncmp(path, "\\\\.\\", 4) == 0) {
        *ret_info = (struct vr_file_info){.kind = VR_FILE_BLOCK};
        return 0;
    }
    int r = vr_win_wide(path, &wide);
    if (r < 0) {
        return r;
    }
    r = GetFileAttributesExW(wide, GetFileExInfoStandard, &data) ? 0 : vr_win_errno(GetLastError());
    free(wide);
    if (r < 0) {
        return r;
    }
    bool dir = data.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY;
    *ret_info = (struct vr_file_info){
        .kind = dir ? VR_FILE_DIR : VR_FILE_REGULAR,
        .size_bytes = dir ? 0 : (uint64_t)data.nFileSizeHigh << 32 | data.nFileSizeLow};
    return 0;
}

static int file_size(HANDLE file, struct vr_file_info *info)
{
    GET_LENGTH_INFORMATION length;
    LARGE_INTEGER size;
    DWORD got;
    if (info->kind == VR_FILE_REGULAR) {
        if (GetFileType(file) != FILE_TYPE_DISK) {
            return -EINVAL; /* "NUL", "CON" and their kin */
        }
        if (!GetFileSizeEx(file, &size)) {
            return vr_win_errno(GetLastError());
        }
        info->size_bytes = (uint64_t)size.QuadPart;
        return 0;
    }
    if (!DeviceIoControl(file, IOCTL_DISK_GET_LENGTH_INFO, NULL, 0, &length, sizeof(length), &got,
                         NULL)) {
        return vr_win_errno(GetLastError());
    }
    info->size_bytes = (uint64_t)length.Length.QuadPart;
    return 0;
}

int vr_file_open(const char *path, bool read_only, int *ret_fd, struct vr_file_info *ret_info)
{
    struct vr_file_info info;
    wchar_t *wide;
    int r = vr_file_stat(path, &info);
    if (r < 0) {
        return r;
    }
    if (info.kind == VR_FILE_DIR) {
        return -EISDIR;
    }
    r = vr_win_wide(path, &wide);
    if (r < 0) {
        return r;
    }
    /* A disk that is written is ours alone; files are shared, as on other hosts, and locked. */
    DWORD share = info.kind == VR_FILE_BLOCK && !read_only
                      ? 0
                      : FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    HANDLE file = CreateFileW(wide, read_only ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE, share,
                              NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    DWORD error = GetLastError();
    free(wide);
    if (file == INVALID_HANDLE_VALUE) {
        return vr_win_errno(error);
    }
    r = file_size(file, &info);
    if (r < 0) {
        CloseHandle(file);
        return r;
    }
    *ret_fd = vr_win_fd(file);
    *ret_info = info;
    return 0;
}

void vr_file_close(int fd)
{
    if (fd >= 0) {
        CloseHandle(vr_win_handle(fd));
    }
}

int vr_file_lock(int fd, bool shared)
{
    OVERLAPPED at = file_at(FILE_LOCK_AT);
    DWORD flags = LOCKFILE_FAIL_IMMEDIATELY | (shared ? 0 : LOCKFILE_EXCLUSIVE_LOCK);
    if (LockFileEx(vr_win_handle(fd), flags, 0, 1, 0, &at)) {
        return 0;
    }
    DWORD error = GetLastError();
    int r = error == ERROR_IO_PENDING ? -EBUSY : vr_win_errno(error);
    return r == -ENOTSUP || r == -EINVAL ? -ENOLCK : r;
}

int vr_file_unlock(int fd)
{
    OVERLAPPED at = file_at(FILE_LOCK_AT);
    if (UnlockFileEx(vr_win_handle(fd), 0, 1, 0, &at) || GetLastError() == ERROR_NOT_LOCKED) {
        return 0;
    }
    return vr_win_errno(GetLastError());
}

/* One of ReadFile and WriteFile, which differ in a const. */
static BOOL file_call(HANDLE file, bool write, void *buf, DWORD len, DWORD *ret_got, OVERLAPPED *at)
{
    return write ? WriteFile(file, buf, len, ret_got, at) : ReadFile(file, buf, len, ret_got, at);
}

static int file_all(int fd, bool write, const struct iovec *iov, unsigned count, uint64_t off)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t *p = iov[i].iov_base;
        for (size_t left = iov[i].iov_len; left;) {
            DWORD got = 0, want = left < FILE_BATCH ? (DWORD)left : FILE_BATCH;
            OVERLAPPED at = file_at(off);
            if (!file_call(vr_win_handle(fd), write, p, want, &got, &at)) {
                DWORD error = GetLastError();
                return error == ERROR_HANDLE_EOF ? -EIO : vr_win_errno(error);
            }
            if (got == 0) {
                return -EIO; /* somebody cut the file */
            }
            p += got;
            off += got;
            left -= got;
        }
    }
    return 0;
}

int vr_file_readv(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    return file_all(fd, false, iov, count, off_bytes);
}

int vr_file_readv_now(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    (void)fd;
    (void)iov;
    (void)count;
    (void)off_bytes;
    return -EOPNOTSUPP; /* ReadFile does not say what it would wait for */
}

int vr_file_writev(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    return file_all(fd, true, iov, count, off_bytes);
}

int vr_file_sync(int fd)
{
    if (FlushFileBuffers(vr_win_handle(fd))) {
        return 0;
    }
    DWORD error = GetLastError();
    return error == ERROR_ACCESS_DENIED ? 0
                                        : vr_win_errno(error); /* opened for reading: as it is */
}

static int file_control(int fd, DWORD what, void *in, DWORD len)
{
    DWORD got;
    if (DeviceIoControl(vr_win_handle(fd), what, in, len, NULL, 0, &got, NULL)) {
        return 0;
    }
    int r = vr_win_errno(GetLastError());
    return r == -ENOTSUP || r == -EINVAL ? -EOPNOTSUPP : r;
}

bool vr_file_can_discard(int fd, const struct vr_file_info *info)
{
    DWORD flags = 0;
    return info->kind == VR_FILE_REGULAR &&
           GetVolumeInformationByHandleW(vr_win_handle(fd), NULL, 0, NULL, NULL, &flags, NULL, 0) &&
           (flags & FILE_SUPPORTS_SPARSE_FILES);
}

int vr_file_zero(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes,
                 bool may_unmap)
{
    FILE_SET_SPARSE_BUFFER sparse = {.SetSparse = TRUE};
    FILE_ZERO_DATA_INFORMATION zero = {.FileOffset.QuadPart = (LONGLONG)off_bytes};
    uint64_t end;
    if (kind != VR_FILE_REGULAR) {
        return -EOPNOTSUPP;
    }
    if (!vr_add_ok(off_bytes, len_bytes, &end) || end > INT64_MAX) {
        return -EINVAL;
    }
    zero.BeyondFinalZero.QuadPart = (LONGLONG)end;
    int r = may_unmap ? file_control(fd, FSCTL_SET_SPARSE, &sparse, sizeof(sparse)) : 0;
    return r < 0 ? r : file_control(fd, FSCTL_SET_ZERO_DATA, &zero, sizeof(zero));
}

int vr_file_discard(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes)
{
    return vr_file_zero(fd, kind, off_bytes, len_bytes, true);
}

/* Disks that several processes read are not there on this host (fork needs them). */
int vr_file_temp(const char *dir, int *ret_fd)
{
    (void)dir;
    (void)ret_fd;
    return -ENOTSUP;
}

int vr_file_reopen(int fd, int *ret_fd)
{
    (void)fd;
    (void)ret_fd;
    return -ENOTSUP;
}

int vr_file_dup(int fd, int *ret_fd)
{
    (void)fd;
    (void)ret_fd;
    return -ENOTSUP;
}

int vr_file_len(int fd, uint64_t *ret_bytes)
{
    LARGE_INTEGER len;
    if (!GetFileSizeEx(vr_win_handle(fd), &len)) {
        return vr_win_errno(GetLastError());
    }
    *ret_bytes = (uint64_t)len.QuadPart;
    return 0;
}

int vr_file_set_len(int fd, uint64_t len_bytes)
{
    FILE_END_OF_FILE_INFO end = {.EndOfFile.QuadPart = (LONGLONG)len_bytes};
    if (len_bytes > INT64_MAX) {
        return -EFBIG;
    }
    return SetFileInformationByHandle(vr_win_handle(fd), FileEndOfFileInfo, &end, sizeof(end))
               ? 0
               : vr_win_errno(GetLastError());
}
