"""A machine in tests of the command: started, and waited for until it has said something."""

from command import LONG_S, read_until, start

RUN = ("run", "-q", "--firmware", "none")


class Machine:
    """Leaving the block ends it. @says: what it has to say first, or None; @run: how it is started, bare-metal if not
    told otherwise."""

    def __init__(self, *args, says=b"idle", run=RUN, **kw):
        self.process = start(*run, *args, **kw)
        try:
            if says:
                self.expect(says)
        except BaseException:  # nobody else would end it
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def expect(self, what):
        read_until(self.process.stdout.fileno(), what)

    def type(self, keys):
        self.process.stdin.write(keys)
        self.process.stdin.flush()

    def ended(self, code=0):
        got = self.process.wait(LONG_S)
        err = self.process.stderr.read()
        assert (got, err) == (code, b""), (got, err)
