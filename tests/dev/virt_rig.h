/* What tests of the virt board share: files in a folder of their own, which machines start from,
 * and machines made of options. */
#ifndef VR_TEST_VIRT_RIG_H
#define VR_TEST_VIRT_RIG_H

#include "test.h"

#include "board/virt_riscv_priv.h"

#define MIB (UINT64_C(1) << 20)

extern char virt_dir[];
extern char virt_kernel_path[64], virt_initrd_path[64], virt_firmware_path[64], virt_disk_path[64],
    virt_blob_path[64];

void virt_write_file(const char *path, const void *data, size_t len);
/* @len bytes that differ from place to place. */
uint8_t *virt_pattern(size_t len, unsigned salt);
/* A Linux Image of @len bytes that takes @size bytes of memory. */
void virt_make_image(size_t len, uint64_t size);
void virt_make_initrd(size_t len);
/* An ELF file with one segment of @len bytes for @gpa. */
void virt_make_elf(const char *path, uint64_t gpa, size_t len);
int virt_make_files(void **state);
int virt_remove_files(void **state);
struct vr_virt_opts virt_opts_of(unsigned cpus, uint64_t ram_bytes);
struct vr_virt *virt_build_of(const struct vr_virt_opts *o);
/* It fails with @code (0: any), and says one line that holds @words. */
void virt_refused(const struct vr_virt_opts *o, int code, const char *words);
/* The device tree describes @v, gives it @append (NULL: nothing) as command line, and dtc has
 * nothing to say of it (virt_tree.c). */
void virt_check_tree(struct vr_virt *v, const char *append);
bool virt_has_dtc(void);

#endif
