/* The head of a RISC-V ELF file with one segment, for tests that write programs (System V ABI,
 * "Object files"). */
#ifndef VR_TESTS_ELF_HEAD_H
#define VR_TESTS_ELF_HEAD_H

#include "base/bits.h"
#include <string.h>

enum { ELF_HEAD = 120 };

/* Of @len bytes at @off in the file, which begin at @gpa and are loaded there. */
static inline void elf_head(uint8_t ret_head[static ELF_HEAD], uint64_t gpa, uint64_t off,
                            uint64_t len)
{
    memset(ret_head, 0, ELF_HEAD);
    memcpy(ret_head, "\177ELF\2\1\1", 7);
    vr_store_le16(ret_head + 16, 2);   /* executable */
    vr_store_le16(ret_head + 18, 243); /* RISC-V */
    vr_store_le32(ret_head + 20, 1);
    vr_store_le64(ret_head + 24, gpa); /* entry */
    vr_store_le64(ret_head + 32, 64);  /* program headers */
    vr_store_le16(ret_head + 52, 64);
    vr_store_le16(ret_head + 54, 56);
    vr_store_le16(ret_head + 56, 1);
    vr_store_le32(ret_head + 64, 1); /* load */
    vr_store_le32(ret_head + 68, 7);
    vr_store_le64(ret_head + 72, off);
    vr_store_le64(ret_head + 80, gpa);
    vr_store_le64(ret_head + 88, gpa);
    vr_store_le64(ret_head + 96, len);
    vr_store_le64(ret_head + 104, len);
}

#endif
