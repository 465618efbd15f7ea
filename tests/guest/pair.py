#!/usr/bin/env python3
"""Runs pair.c, which speaks TAP itself, with the cached Debian kernel."""

import os

import vm

folder = vm.kernel_folder()
pair = os.environ["PAIR"]
os.execv(pair, [pair, folder / "Image", vm.initramfs(folder)])
