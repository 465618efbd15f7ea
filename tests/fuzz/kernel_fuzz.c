/*
 * Kernel files: gzip around, Linux Image or ELF inside. What is accepted must be sound: everything
 * that is copied lies in the file, no address wraps.
 */
#include "fuzz.h"

#include "base/bits.h"
#include "boot/blob.h"
#include "boot/kernel.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { UNPACKED_MAX = 1 << 20 };

static void parse(const uint8_t *data, size_t len)
{
    struct vr_error err = {0};
    struct vr_kernel k;
    uint64_t end;
    int r = vr_kernel_parse("f", data, len, UINT64_C(0x80000000), &k, &err);
    if (r < 0) {
        KEEPS(err.code == r && err.msg[0]);
        return;
    }
    KEEPS(k.segment_count >= 1 && k.segment_count <= VR_KERNEL_SEGMENTS && k.low < k.high);
    for (unsigned i = 0; i < k.segment_count; i++) {
        const struct vr_segment *s = &k.segment[i];
        KEEPS(vr_in_range(s->off, s->file_len, len) && s->file_len <= s->mem_len && s->mem_len);
        KEEPS(vr_add_ok(s->gpa, s->mem_len, &end) && s->gpa >= k.low && end <= k.high);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct vr_blob b = {.data = malloc(len ? len : 1), .len = len, .max_bytes = UNPACKED_MAX};
    struct vr_error err = {0};
    b.path = strdup("f");
    b.fd = -1;
    if (b.data && b.path && len) {
        memcpy(b.data, data, len);
        int r = vr_blob_gunzip("kernel", &b, &err);
        KEEPS(r == 0 || err.msg[0]);
        KEEPS(!b.unpacked || b.len <= UNPACKED_MAX);
        parse(b.data, b.len);
    }
    vr_blob_fini(&b);
    return 0;
}

static size_t seed_image(uint8_t *d)
{
    memset(d, 0, 256);
    vr_store_le32(d, 0x6f);
    vr_store_le64(d + 8, 0x200000);
    vr_store_le64(d + 16, 0x1000);
    memcpy(d + 56, "RSC\x05", 4);
    return 256;
}

/* With an EFI header, as real kernels have. */
static size_t seed_efi_image(uint8_t *d)
{
    (void)seed_image(d);
    memcpy(d, "MZ", 2);
    vr_store_le32(d + 0x3c, 0x40);
    memcpy(d + 0x40, "PE\0\0", 4);
    vr_store_le16(d + 0x46, 1);
    vr_store_le16(d + 0x54, 0x10);
    vr_store_le32(d + 0x40 + 24 + 0x10 + 16, 0x40);
    vr_store_le32(d + 0x40 + 24 + 0x10 + 20, 0xc0);
    return 256;
}

static size_t seed_elf(uint8_t *d)
{
    memset(d, 0, 1024);
    memcpy(d, "\177ELF\2\1\1", 7);
    vr_store_le16(d + 16, 2);
    vr_store_le16(d + 18, 243);
    vr_store_le64(d + 24, UINT64_C(0x80000000));
    vr_store_le64(d + 32, 64);
    vr_store_le64(d + 40, 256);
    vr_store_le16(d + 54, 56);
    vr_store_le16(d + 56, 2);
    vr_store_le16(d + 58, 64);
    vr_store_le16(d + 60, 2);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *ph = d + 64 + i * 56;
        vr_store_le32(ph, 1);
        vr_store_le64(ph + 8, 512 * i);
        vr_store_le64(ph + 16, UINT64_C(0x80000000) + i * 0x1000);
        vr_store_le64(ph + 24, UINT64_C(0x80000000) + i * 0x1000);
        vr_store_le64(ph + 32, 256);
        vr_store_le64(ph + 40, 0x1000);
    }
    vr_store_le32(d + 256 + 4, 2); /* symbols */
    vr_store_le64(d + 256 + 24, 400);
    vr_store_le64(d + 256 + 32, 48);
    vr_store_le32(d + 256 + 40, 1);
    vr_store_le32(d + 320 + 4, 3); /* strings */
    vr_store_le64(d + 320 + 24, 480);
    vr_store_le64(d + 320 + 32, 16);
    vr_store_le32(d + 400 + 24, 1);
    vr_store_le64(d + 400 + 32, UINT64_C(0x80001000));
    memcpy(d + 480, "\0tohost\0", 8);
    return 1024;
}

static size_t seed_gzip(uint8_t *out, size_t cap, size_t (*inner)(uint8_t *d))
{
    uint8_t d[1024];
    z_stream z = {.next_out = out, .avail_out = (uInt)cap};
    z.avail_in = (uInt)inner(d);
    z.next_in = d;
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    (void)deflate(&z, Z_FINISH);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    size_t len;
    switch (n) {
    case 0:
        return seed_image(buf);
    case 1:
        return seed_efi_image(buf);
    case 2:
        return seed_elf(buf);
    case 3:
        return seed_gzip(buf, cap, seed_image);
    case 4: /* two members */
        len = seed_gzip(buf, cap, seed_elf);
        return len + seed_gzip(buf + len, cap - len, seed_image);
    default:
        return 0;
    }
}
