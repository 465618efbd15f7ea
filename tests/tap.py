"""TAP for test scripts: `from tap import Tap` (tests/ is on PYTHONPATH when meson runs them).

    tap = Tap()
    with tap.test("a disk keeps what was written"):
        assert digest == expected, f"read {digest}"
    tap.finish()"""

import contextlib
import sys
import traceback


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
