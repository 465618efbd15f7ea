#!/usr/bin/env python3
"""Runs balloon.c, which speaks TAP itself, with the cached Debian kernel and its virtio_balloon."""

import os

import debian
import vm

folder = vm.kernel_folder()
with debian.lock(debian.cache()):
    base = vm.initramfs(folder, "-o", debian.cache() / "initramfs-balloon.cpio", "-m", "virtio_mmio,virtio_balloon")
balloon = os.environ["BALLOON"]
os.execv(balloon, [balloon, folder / "Image", base])
