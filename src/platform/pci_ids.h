/* Names of PCI vendors, devices, subsystems and classes, from the text file that hosts carry. */
#ifndef VR_PLATFORM_PCI_IDS_H
#define VR_PLATFORM_PCI_IDS_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct vr_pci_ids;

/* Parse @len bytes of @text (copied). Lines that make no sense are skipped and counted. -ENOMEM. */
int vr_pci_ids_parse(const void *text, size_t len, struct vr_pci_ids **ret_ids) VR_MUST;
/* Read @path; NULL: the first file found where hosts have it, and *ret_ids is NULL when there is
 * none. -EFBIG: larger than 32 MiB; -EINVAL: holds no name at all. */
int vr_pci_ids_load(const char *path, struct vr_pci_ids **ret_ids, struct vr_error *err) VR_MUST;
void vr_pci_ids_free(struct vr_pci_ids *ids);

size_t vr_pci_ids_count(const struct vr_pci_ids *ids);   /* names */
size_t vr_pci_ids_skipped(const struct vr_pci_ids *ids); /* lines */

/* A name, or NULL. @ids may be NULL. Valid as long as @ids. */
const char *vr_pci_ids_vendor(const struct vr_pci_ids *ids, uint16_t vendor);
const char *vr_pci_ids_device(const struct vr_pci_ids *ids, uint16_t vendor, uint16_t device);
const char *vr_pci_ids_subsystem(const struct vr_pci_ids *ids, uint16_t vendor, uint16_t device,
                                 uint16_t sub_vendor, uint16_t sub_device);
/* @class_code: 24 bits. The subclass' name, else the class'. */
const char *vr_pci_ids_class(const struct vr_pci_ids *ids, uint32_t class_code);

#endif
