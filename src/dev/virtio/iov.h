/* The same list of byte ranges that backends use. */
#ifndef VR_DEV_VIRTIO_IOV_H
#define VR_DEV_VIRTIO_IOV_H

#include "core/iov.h"

#endif
