"""Does this host have the engine jit?"""

import subprocess


def why_not(vireo):
    """None: it has; else what `vireo doctor` says about it."""
    done = subprocess.run([vireo, "doctor"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    line = next((x for x in done.stdout.splitlines() if "engine jit" in x), "doctor says nothing of the engine jit")
    return None if "compiling" in line else line.strip()
