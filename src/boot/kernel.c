/* Linux Images, ELF files, and telling files apart: see boot/kernel.h. */
#include "boot/kernel.h"
#include "base/bits.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Image header, boot-image-header.rst */
enum {
    IMG_TEXT_OFFSET = 8,
    IMG_IMAGE_SIZE = 16,
    IMG_FLAGS = 24,
    IMG_MAGIC2 = 56,
    IMG_HEADER = 64,
    IMG_FLAG_BE = 1,
};

/* PE/COFF */
enum { PE_OFFSET = 0x3c, PE_HEADER = 24, PE_SECTION = 40 };

/* ELF-64 */
enum {
    EM_RISCV = 243,
    ET_EXEC = 2,
    ET_DYN = 3,
    PT_LOAD = 1,
    SHT_SYMTAB = 2,
    EHDR_LEN = 64,
    PHDR_LEN = 56,
    SHDR_LEN = 64,
    SYM_LEN = 24,
};

static bool starts(const uint8_t *data, size_t len, size_t at, const char *magic, size_t magic_len)
{
    return vr_in_range(at, magic_len, len) && memcmp(data + at, magic, magic_len) == 0;
}

enum vr_file_kind vr_file_kind(const uint8_t *d, size_t len)
{
    if (starts(d, len, 0, "\177ELF", 4)) {
        return len >= 20 && d[4] == 2 && d[5] == 1 && vr_load_le16(d + 18) == EM_RISCV
                   ? VR_FILE_RISCV_ELF
                   : VR_FILE_OTHER_ELF;
    }
    if (starts(d, len, IMG_MAGIC2, "RSC\x05", 4)) {
        return VR_FILE_RISCV_IMAGE;
    }
    if (starts(d, len, IMG_MAGIC2, "ARM\x64", 4) || starts(d, len, 0x202, "HdrS", 4) ||
        starts(d, len, 0, "MZ", 2)) {
        return VR_FILE_OTHER_KERNEL;
    }
    if (starts(d, len, 0, "\x1f\x8b", 2)) {
        return VR_FILE_GZIP;
    }
    if (starts(d, len, 0, "\x28\xb5\x2f\xfd", 4)) {
        return VR_FILE_ZSTD;
    }
    if (starts(d, len, 0, "QFI\xfb", 4)) {
        return VR_FILE_QCOW2;
    }
    if (starts(d, len, 32769, "CD001", 5)) {
        return VR_FILE_ISO;
    }
    if (starts(d, len, 0, "#!", 2)) {
        return VR_FILE_SCRIPT;
    }
    /* A boot sector, a GPT, or the magic of ext2..4, XFS, Btrfs would all do; so does any whole
     * number of sectors, but then the caller must have been told that it is a disk. */
    if (starts(d, len, 510, "\x55\xaa", 2) || starts(d, len, 512, "EFI PART", 8) ||
        starts(d, len, 1080, "\x53\xef", 2) || starts(d, len, 0, "XFSB", 4)) {
        return VR_FILE_RAW_DISK;
    }
    return VR_FILE_UNKNOWN;
}

const char *vr_file_kind_name(enum vr_file_kind kind)
{
    static const char *const names[] = {
        [VR_FILE_UNKNOWN] = "nothing known",
        [VR_FILE_RISCV_IMAGE] = "a RISC-V Linux Image",
        [VR_FILE_RISCV_ELF] = "a RISC-V ELF file",
        [VR_FILE_OTHER_ELF] = "an ELF file for another architecture",
        [VR_FILE_OTHER_KERNEL] = "a kernel or program for another architecture",
        [VR_FILE_GZIP] = "a gzip file",
        [VR_FILE_ZSTD] = "a zstd file",
        [VR_FILE_QCOW2] = "a qcow2 image",
        [VR_FILE_ISO] = "an ISO 9660 image",
        [VR_FILE_SCRIPT] = "a script",
        [VR_FILE_RAW_DISK] = "a raw disk image",
    };
    return names[kind];
}

/* An Image is an EFI program as well, whose section table (PE format, "COFF File Header" and
 * "Section Table") says how long the file has to be: the image's own size includes what is zeroed
 * only at run time. 0: no such table. */
static uint64_t image_file_len(const uint8_t *d, size_t len)
{
    uint64_t end = 0;
    if (!starts(d, len, 0, "MZ", 2)) {
        return 0;
    }
    uint64_t pe = vr_load_le32(d + PE_OFFSET);
    if (!vr_in_range(pe, PE_HEADER, len)) {
        return pe + PE_HEADER;
    }
    if (!starts(d, len, (size_t)pe, "PE\0\0", 4)) {
        return 0;
    }
    unsigned count = vr_load_le16(d + pe + 6);
    uint64_t table = pe + PE_HEADER + vr_load_le16(d + pe + 20);
    if (!vr_in_range(table, (uint64_t)count * PE_SECTION, len)) {
        return table + (uint64_t)count * PE_SECTION;
    }
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *section = d + table + i * PE_SECTION;
        uint64_t stop = (uint64_t)vr_load_le32(section + 16) + vr_load_le32(section + 20);
        end = stop > end ? stop : end;
    }
    return end;
}

static int parse_image(const char *name, const uint8_t *d, size_t len, uint64_t ram_base,
                       struct vr_kernel *k, struct vr_error *err)
{
    uint64_t text = vr_load_le64(d + IMG_TEXT_OFFSET), size = vr_load_le64(d + IMG_IMAGE_SIZE);
    if (vr_load_le64(d + IMG_FLAGS) & IMG_FLAG_BE) {
        return vr_err(err, -ENOEXEC, "kernel %s: is big-endian; this machine is little-endian",
                      name);
    }
    uint64_t file_len = image_file_len(d, len);
    if (file_len > len) {
        return vr_err(err, -EINVAL,
                      "kernel %s: cut off: it has %zu bytes, its header speaks of %" PRIu64
                      "; copy or fetch it again",
                      name, len, file_len);
    }
    if (size == 0) {
        text = 2 << 20; /* kernels before the header had a size */
        size = len;
    }
    if (size < len) {
        size = len;
    }
    if (text > 1 << 30 || size > UINT64_C(1) << 36) {
        return vr_err(err, -EINVAL,
                      "kernel %s: damaged header (text offset 0x%" PRIx64 ", size 0x%" PRIx64 ")",
                      name, text, size);
    }
    *k = (struct vr_kernel){.kind = VR_KERNEL_LINUX_IMAGE, .entry = ram_base + text};
    k->segment[k->segment_count++] =
        (struct vr_segment){.gpa = k->entry, .file_len = len, .mem_len = size};
    k->low = k->entry;
    k->high = k->entry + size;
    return 0;
}

/* The value of symbol `tohost`, by which architecture tests report; 0 if the file has none. The
 * format allows one symbol table, so a second one is not looked at: a file that has thousands of
 * them, each as long as itself, is read in no time. */
static uint64_t elf_tohost(const uint8_t *d, size_t len)
{
    uint64_t shoff = vr_load_le64(d + 40), sh_len;
    unsigned count = vr_load_le16(d + 60), i = 0;
    if (vr_load_le16(d + 58) != SHDR_LEN || !vr_mul_ok(count, SHDR_LEN, &sh_len) ||
        !vr_in_range(shoff, sh_len, len)) {
        return 0;
    }
    while (i < count && vr_load_le32(d + shoff + i * SHDR_LEN + 4) != SHT_SYMTAB) {
        i++;
    }
    const uint8_t *sh = d + shoff + i * SHDR_LEN;
    uint32_t link = i < count ? vr_load_le32(sh + 40) : count;
    if (link >= count) {
        return 0;
    }
    const uint8_t *st = d + shoff + link * SHDR_LEN;
    uint64_t off = vr_load_le64(sh + 24), size = vr_load_le64(sh + 32);
    uint64_t str = vr_load_le64(st + 24), str_len = vr_load_le64(st + 32);
    if (!vr_in_range(off, size, len) || !vr_in_range(str, str_len, len)) {
        return 0;
    }
    for (uint64_t s = 0; s + SYM_LEN <= size; s += SYM_LEN) {
        uint32_t at = vr_load_le32(d + off + s);
        if (starts(d + str, (size_t)str_len, at, "tohost", 7)) {
            return vr_load_le64(d + off + s + 8);
        }
    }
    return 0;
}

static int parse_elf(const char *name, const uint8_t *d, size_t len, struct vr_kernel *k,
                     struct vr_error *err)
{
    unsigned type = vr_load_le16(d + 16), count = vr_load_le16(d + 56);
    uint64_t phoff = vr_load_le64(d + 32), ph_len;
    if (type != ET_EXEC && type != ET_DYN) {
        return vr_err(err, -ENOEXEC, "kernel %s: is an ELF file of type %u, not an executable",
                      name, type);
    }
    if (vr_load_le16(d + 54) != PHDR_LEN || !vr_mul_ok(count, PHDR_LEN, &ph_len) ||
        !vr_in_range(phoff, ph_len, len)) {
        return vr_err(err, -EINVAL,
                      "kernel %s: its ELF program headers lie outside the file: is it cut off?",
                      name);
    }
    *k = (struct vr_kernel){.kind = VR_KERNEL_ELF, .low = UINT64_MAX};
    uint64_t ventry = vr_load_le64(d + 24);
    k->entry = ventry;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *ph = d + phoff + i * PHDR_LEN;
        struct vr_segment s = {.off = vr_load_le64(ph + 8),
                               .gpa = vr_load_le64(ph + 24),
                               .file_len = vr_load_le64(ph + 32),
                               .mem_len = vr_load_le64(ph + 40)};
        uint64_t va = vr_load_le64(ph + 16), end;
        if (vr_load_le32(ph) != PT_LOAD || s.mem_len == 0) {
            continue;
        }
        if (!vr_in_range(s.off, s.file_len, len) || s.file_len > s.mem_len ||
            !vr_add_ok(s.gpa, s.mem_len, &end)) {
            return vr_err(err, -EINVAL,
                          "kernel %s: ELF segment %u lies outside the file: is it cut off?", name,
                          i);
        }
        if (k->segment_count == VR_KERNEL_SEGMENTS) {
            return vr_err(err, -EINVAL, "kernel %s: more than %d ELF segments", name,
                          VR_KERNEL_SEGMENTS);
        }
        if (ventry >= va && ventry - va < s.mem_len) {
            k->entry =
                s.gpa + (ventry - va); /* linked at virtual addresses, started at physical ones */
        }
        k->segment[k->segment_count++] = s;
        k->low = s.gpa < k->low ? s.gpa : k->low;
        k->high = end > k->high ? end : k->high;
    }
    if (k->segment_count == 0) {
        return vr_err(err, -EINVAL, "kernel %s: the ELF file has nothing to load", name);
    }
    k->tohost = elf_tohost(d, len);
    return 0;
}

int vr_kernel_parse(const char *name, const uint8_t *data, size_t len, uint64_t ram_base,
                    struct vr_kernel *ret_kernel, struct vr_error *err)
{
    struct vr_kernel k;
    enum vr_file_kind kind = vr_file_kind(data, len);
    int r;
    if (len < IMG_HEADER) {
        return vr_err(err, -EINVAL,
                      "kernel %s: cut off? it has %zu bytes, and the header of a kernel alone has "
                      "%d",
                      name, len, IMG_HEADER);
    }
    switch (kind) {
    case VR_FILE_RISCV_IMAGE:
        r = parse_image(name, data, len, ram_base, &k, err);
        break;
    case VR_FILE_RISCV_ELF:
        r = parse_elf(name, data, len, &k, err);
        break;
    default:
        return vr_err(
            err, -ENOEXEC,
            "kernel %s: is %s; this machine starts RISC-V (riscv64) Linux Images and ELF files",
            name, vr_file_kind_name(kind));
    }
    if (r == 0) {
        *ret_kernel = k;
    }
    return r;
}
