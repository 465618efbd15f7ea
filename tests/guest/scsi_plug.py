#!/usr/bin/env python3
"""Runs scsi_plug.c, which speaks TAP itself, with the cached Debian kernel and its SCSI drivers."""

import os
import subprocess
import sys

import debian
import vm

folder = vm.kernel_folder()
with debian.lock(debian.cache()):
    base = vm.initramfs(folder, "-o", debian.cache() / "initramfs-scsi.cpio", "-m",
                        "virtio_mmio,virtio_scsi,sd_mod,sr_mod")
with debian.scratch() as images:
    sys.exit(subprocess.run([os.environ["SCSI_PLUG"], folder / "Image", base, images]).returncode)
