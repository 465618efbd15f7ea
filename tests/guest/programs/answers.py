"""Python with known answers: the same program runs on the host and in the guest, and must say the same."""
import decimal
import fractions
import hashlib
import itertools
import json
import math
import random
import re
import struct
import zlib


def say(name, *values):
    print(name, *values, flush=True)


say("primes", sum(p for p in range(2, 3000) if all(p % d for d in range(2, int(p**0.5) + 1))))
say("power", pow(3, 10**40, 10**40 + 57), 7**400 // 3**300, -(7**100) % 11**30)
say("factorial", math.factorial(300) % (10**18 + 9))
say("sqrt", math.isqrt(2 * 10**200), decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
say("fraction", sum(fractions.Fraction(1, n) for n in range(1, 40)))
text = bytes(range(256)) * 200
for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
    say(name, hashlib.new(name, text).hexdigest())
say("zlib", zlib.crc32(text), zlib.adler32(text), zlib.decompress(zlib.compress(text, 6)) == text)
rng = random.Random(20)
data = [rng.random() for _ in range(20000)]
say("random", math.fsum(data).hex(), sum(data).__class__, sorted(data)[10000].hex(), rng.getrandbits(256))
x = 0.5
for _ in range(20000):
    x = 3.9 * x * (1.0 - x)
say("chaos", x.hex())
say("floats", (0.1 + 0.2).hex(), (1e308 * 10), 5e-324 / 2, 2**0.5, float("1e-310").hex(), round(2.675, 2))
say("text", [repr(float(s)) for s in ("1e23", "9007199254740993", "0.1e-6", "2.2250738585072011e-308")])
say("struct", struct.pack("<fdqH", 0.1, 1 / 3, -5, 65535).hex(), struct.unpack(">f", b"\x3d\xcc\xcc\xcd"))
table = {str(i): [i, i / 7, {"k": "v" * (i % 5)}] for i in range(800)}
say("json", hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest())
say("json back", json.loads(json.dumps(table)) == table)
words = re.findall(r"(\w)(\w+)", " ".join(hashlib.sha256(str(i).encode()).hexdigest() for i in range(300)))
say("words", len(words), hashlib.sha256(repr(sorted(words)).encode()).hexdigest())
say("queens", sum(1 for p in itertools.permutations(range(7))
                  if len({p[i] + i for i in range(7)}) == len({p[i] - i for i in range(7)}) == 7))
