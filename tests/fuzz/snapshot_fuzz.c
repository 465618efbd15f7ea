/*
 * Snapshot files, and the settings in them. If the first byte is odd, checksums are made right
 * first, so that what they guard is reached. What is accepted must be given out in bounds.
 */
#include "fuzz.h"

#include "base/alloc.h"
#include "control/config.h"
#include "control/snapfile_priv.h"
#include "snapfile_mend.h"
#include "vireo/host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGE_MAX = 1 << 20, FILE_MAX = 1 << 20 };

struct bounds {
    uint64_t len;
};

static int bounds_write(void *opaque, uint64_t off, const void *data, size_t len,
                        struct vr_error *err)
{
    (void)data;
    (void)err;
    KEEPS(len <= VR_SNAPFILE_PIECE && vr_in_range(off, len, ((struct bounds *)opaque)->len));
    return 0;
}

static int bounds_zero(void *opaque, uint64_t off, uint64_t len, struct vr_error *err)
{
    (void)err;
    KEEPS(vr_in_range(off, len, ((struct bounds *)opaque)->len));
    return 0;
}

static void look(struct vr_snapfile *f)
{
    struct bounds bounds;
    struct vr_snapfile_sink sink = {.write = bounds_write, .zero = bounds_zero, .opaque = &bounds};
    struct vr_error err = {0};
    struct vireo_config *config;
    const void *text;
    uint64_t *hashes;
    uint32_t grain;
    size_t len;
    int r = vr_snapfile_verify(f, NULL, &err);
    KEEPS(r == 0 || err.msg[0]);
    if (vr_snapfile_bytes(f, "config", &text, &len, &err) == 0 &&
        vireo_config_load(text, len, &config, &err) == 0) {
        vireo_config_destroy(config);
    }
    if (vr_snapfile_image(f, "ram", &bounds.len, &grain, &err) == 0) {
        (void)!vr_snapfile_give(f, "ram", NULL, &sink, &err);
        if (bounds.len <= IMAGE_MAX && vr_snapfile_hashes(f, "ram", &hashes, &err) == 0) {
            free(hashes);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct vr_error err = {0};
    struct vr_snapfile *f;
    char path[64];
    int fd;
    if (len < 1 + SNAPFILE_BLOCK || len > FILE_MAX) {
        return 0;
    }
    uint8_t *copy = malloc(--len);
    KEEPS(copy);
    memcpy(copy, data + 1, len);
    if (data[0] & 1) {
        snapfile_mend(copy, len);
    }
    KEEPS(vireo_memfd_create("snapshot", 0, 0, &fd, &err) == 0 ||
          vireo_memfd_create("snapshot", len, 0, &fd, &err) == 0);
    KEEPS(pwrite(fd, copy, len, 0) == (ssize_t)len && ftruncate(fd, (off_t)len) == 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (vr_snapfile_open(path, &f, &err) == 0) {
        look(f);
        vr_snapfile_close(f);
    } else {
        KEEPS(err.msg[0]);
    }
    close(fd);
    free(copy);
    return 0;
}

static const uint8_t seed_page[4096] = {1, 2, 3};

static uint64_t seed_next(void *opaque, uint64_t off)
{
    (void)opaque;
    return off;
}

static const uint8_t *seed_read(void *opaque, uint64_t off, size_t len, struct vr_error *err)
{
    static uint8_t image[4 * 4096];
    (void)opaque;
    (void)err;
    memcpy(image + 4096, seed_page, sizeof(seed_page));
    KEEPS(vr_in_range(off, len, sizeof(image)));
    return image + off;
}

/* The @n-th file; making one waits for the disk. */
static size_t seed_make(unsigned n, uint8_t *buf, size_t cap)
{
    static const char config[] = "vireo-config 1\n?cpus=1\nmemory=64M\ndisk=/a,,b,ro\n";
    struct vr_snapfile_source s = {.len_bytes = 4 * 4096,
                                   .grain_bytes = 4096,
                                   .next = seed_next,
                                   .read = seed_read,
                                   .clone_fd = -1,
                                   .flat = n & 1};
    char dir[] = "/tmp/vireo-fuzz.XXXXXX", path[64];
    struct vr_snapfile_writer *w;
    KEEPS(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/seed", dir);
    KEEPS(vr_snapfile_create(path, VR_SNAPFILE_PLAIN, &w, NULL) == 0);
    KEEPS(vr_snapfile_put(w, "config", config, strlen(config), NULL) == 0);
    KEEPS(vr_snapfile_put_image(w, "ram", &s, NULL, NULL, NULL) == 0);
    KEEPS(vr_snapfile_commit(w, NULL) == 0);
    FILE *file = fopen(path, "rb");
    KEEPS(file);
    size_t len = fread(buf, 1, cap, file);
    KEEPS(len > SNAPFILE_BLOCK && len < cap);
    fclose(file);
    unlink(path);
    rmdir(dir);
    return len;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static uint8_t made[2][64 << 10];
    static size_t len[2];
    if (n >= 4) {
        return 0;
    }
    if (!len[n & 1]) {
        len[n & 1] = seed_make(n & 1, made[n & 1], sizeof(made[0]));
    }
    KEEPS(len[n & 1] < cap);
    buf[0] = (uint8_t)(n >> 1);
    memcpy(buf + 1, made[n & 1], len[n & 1]);
    return len[n & 1] + 1;
}
