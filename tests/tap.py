"""TAP for test scripts: `from tap import Tap` (tests/ is on PYTHONPATH when meson runs them).

    tap = Tap()
    with tap.test("a disk keeps what was written"):
        assert digest == expected, f"read {digest}"
    tap.finish()"""

import atexit
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import traceback

# Machines of a test have a runtime folder of their own: their names are not taken by those of other tests.
os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="vireo-run.")
atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
# A test that is ended from outside leaves its blocks, and so ends its machines.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


class Skip(Exception):
    """Raise it in a test, with the reason."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    @contextlib.contextmanager
    def test(self, name):
        """One test: passes when its block ends, fails when it raises."""
        self.count += 1
        try:
            yield
            line = f"ok {self.count} - {name}"
        except Skip as skip:
            line = f"ok {self.count} - {name} # SKIP {skip}"
        except Exception:
            self.failed += 1
            for text in traceback.format_exc().splitlines():
                print(f"# {text}")
            line = f"not ok {self.count} - {name}"
        print(line, flush=True)

    def finish(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)
