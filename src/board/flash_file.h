/*
 * Flash contents and the files they live in: an image of code is read once; a file of variables is
 * kept up to date while the guest programs its flash.
 */
#ifndef VR_BOARD_FLASH_FILE_H
#define VR_BOARD_FLASH_FILE_H

#include "base/err.h"
#include "base/log.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_dev;
struct vr_flash_file;

/* Fill @hva's VR_PFLASH_LEN bytes from @path, with ones behind its end. -ENOENT, -EACCES, ...;
 * -EISDIR, -EINVAL (no file, or an empty one), -EFBIG, -EIO. */
int vr_flash_file_read(const char *path, uint8_t *hva, struct vr_error *err) VR_MUST;

/* Fill @hva likewise from the variables in @path (no bytes at all: erased flash), which is locked
 * against a second user until vr_flash_file_close. With @read_only several may read it, and nothing
 * is kept. Also -EBUSY (in use), -EROFS, -ENOLCK. */
int vr_flash_file_open(const char *path, bool read_only, struct vr_log *log, uint8_t *hva,
                       struct vr_flash_file **ret_file, struct vr_error *err) VR_MUST;
/* Write to the file what the guest changes in @dev, soon after; once, for a file that is not
 * read-only. The file grows to what is written. Failures are logged and tried again. */
int vr_flash_file_keep(struct vr_flash_file *file, struct vr_dev *dev,
                       struct vr_error *err) VR_MUST;
/* Write now. The device's lock is not held. False: it failed, and was logged. */
bool vr_flash_file_flush(struct vr_flash_file *file);
/* Writes, a last time; before @dev is destroyed. NULL is fine. */
void vr_flash_file_close(struct vr_flash_file *file);

#endif
