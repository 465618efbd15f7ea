/*
 * What kind of program a file is, and where its parts go: RISC-V Linux Image and ELF64.
 *
 * Sources: Linux Documentation/arch/riscv/boot-image-header.rst; System V ABI, ELF-64 object file
 * format; RISC-V ELF psABI (machine 243).
 */
#ifndef VR_BOOT_KERNEL_H
#define VR_BOOT_KERNEL_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vr_kernel_kind { VR_KERNEL_LINUX_IMAGE, VR_KERNEL_ELF, VR_KERNEL_RAW };

enum { VR_KERNEL_SEGMENTS = 16 };

/* File bytes [off, off+file_len) go to @gpa; up to mem_len follow as zeroes. */
struct vr_segment {
    uint64_t gpa, off, file_len, mem_len;
};

struct vr_kernel {
    enum vr_kernel_kind kind;
    struct vr_segment segment[VR_KERNEL_SEGMENTS];
    unsigned segment_count;
    uint64_t entry;     /* guest-physical */
    uint64_t low, high; /* lowest address used, first one after all */
    uint64_t tohost;    /* ELF: value of the symbol `tohost`; 0: none */
};

/* Understand @data as a RISC-V Linux Image or ELF64 executable. A relocatable Image is placed
 * @ram_base + its text offset. @name for messages. Nothing is trusted: every offset is checked
 * against @len. -ENOEXEC: it is something else; the message says what it looks like. -EINVAL:
 * damaged. */
int vr_kernel_parse(const char *name, const uint8_t *data, size_t len, uint64_t ram_base,
                    struct vr_kernel *ret_kernel, struct vr_error *err) VR_MUST;

/* What a file's first bytes look like, for messages and for the command's smart positional. */
enum vr_file_kind {
    VR_FILE_UNKNOWN,
    VR_FILE_RISCV_IMAGE,
    VR_FILE_RISCV_ELF,
    VR_FILE_OTHER_ELF,
    VR_FILE_OTHER_KERNEL,
    VR_FILE_GZIP,
    VR_FILE_ZSTD,
    VR_FILE_QCOW2,
    VR_FILE_ISO,
    VR_FILE_SCRIPT,
    VR_FILE_RAW_DISK,
};
enum { VR_FILE_PROBE_LEN = 36 * 1024 };
/* @len: how much of the file's start is at hand, best VR_FILE_PROBE_LEN. */
enum vr_file_kind vr_file_kind(const uint8_t *data, size_t len);
const char *vr_file_kind_name(enum vr_file_kind kind); /* "a gzip file" */

#endif
