/* What tests of the platform layer ask of the host behind Vireo's back; one file a system. */
#ifndef VR_TEST_PLATFORM_OS_H
#define VR_TEST_PLATFORM_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t os_page(void); /* bytes */
/* How the host lists the page at @hva: "rw-"; "" when nothing is mapped there. */
const char *os_perms_at(const void *hva, char perms[4]);
/* Pages, or stretches of pages, of this process that may be written and run at one address. The
 * whole address space is looked at. */
unsigned os_count_written_and_run(void);
/* Does touching it fault? */
bool os_touch_faults(uint8_t *at, bool write);
uint32_t os_current_cpu(void); /* Linux, Windows: where threads are placed */

/* A file of @len zero bytes, by Vireo's kind of descriptor, that is gone when it is closed. */
int os_file_make(uint64_t len);
void os_file_read(int fd, void *buf, size_t len, uint64_t off);
void os_file_close(int fd);

#endif
