#!/usr/bin/env python3
"""Runs a Windows program under Wine, without a display and without touching the user's own Wine.

  wine.py PROGRAM [ARGUMENT...]

Windows' files (a "prefix") are in a temporary folder that is gone afterwards, with the server that
Wine keeps for it; or, made once for many programs (made_prefix), in the folder that VIREO_WINEPREFIX
names. Where Wine is not here or does not start, it says so as a TAP test that is skipped."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

PLACES = ["/usr/lib/wine", "/usr/lib64/wine"]  # Debian keeps the bare programs out of PATH


class Missing(Exception):
    """Wine cannot be used, because."""


def find(*names):
    for name in names:
        for found in [shutil.which(name), *(os.path.join(place, name) for place in PLACES)]:
            if found and os.access(found, os.X_OK):
                return found
    raise Missing("Wine is not here (Debian: wine64)")


def environment(prefix):
    env = {key: value for key, value in os.environ.items()
           if key not in ("DISPLAY", "WAYLAND_DISPLAY") and not key.startswith("WINE")}
    return {**env, "WINEPREFIX": prefix, "WINEDEBUG": "-all", "WINEARCH": "win64",
            # Nothing here wants .NET, a browser, entries in a desktop's menu or a debugger.
            "WINEDLLOVERRIDES": "mscoree=;mshtml=;winemenubuilder.exe=;winedbg.exe="}


def run(prefix, argv):
    return subprocess.run([find("wine64", "wine"), *argv], env=environment(prefix)).returncode


@contextlib.contextmanager
def made_prefix():
    """A prefix, ready; its server and its folder are gone at the end."""
    find("wine64", "wine")
    with tempfile.TemporaryDirectory(prefix="vireo-wine.", ignore_cleanup_errors=True) as folder:
        prefix = os.path.join(folder, "prefix")
        env = environment(prefix)
        try:
            done = subprocess.run([find("wine64", "wine"), "wineboot.exe", "--init"], env=env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            if done.returncode:
                raise Missing(f"Wine does not start here: wineboot ended with {done.returncode}")
            yield prefix
        finally:
            server = find("wineserver64", "wineserver")
            for option in "--kill", "--wait":
                subprocess.run([server, option], env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    prefix = os.environ.get("VIREO_WINEPREFIX")
    try:
        if prefix:
            return run(prefix, sys.argv[1:])
        with made_prefix() as prefix:
            return run(prefix, sys.argv[1:])
    except Missing as why:
        print(f"1..0 # SKIP {why}")
        return 0


if __name__ == "__main__":
    sys.exit(main())
