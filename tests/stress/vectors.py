#!/usr/bin/env python3
"""OpenSSL, through Python, against the published answers of NIST's validation suites and RFCs, as they lie in Debian's
python3-cryptography-vectors. Runs in the guest (tests/stress/stress.py).

  vectors.py PART [FOLDER]     PART: hashes, ciphers, gcm, rsa, ecdsa, ed25519

Prints each wrong answer and how many were compared; exits 1 after a wrong one, or where nothing was compared."""

import hashlib
import hmac
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

FOLDER = "/usr/lib/python3/dist-packages/cryptography_vectors"
HASHES = {name: getattr(hashes, name)() for name in ("SHA1", "SHA224", "SHA256", "SHA384", "SHA512")}


def records(path, last):
    """Each {name: value} of a NIST response file; a record ends with the line named @last. Values in force from
    earlier records and from [headings] stay."""
    found = {}
    for line in path.read_text().splitlines():
        if heading := re.fullmatch(r"\[(.*)\]", line.strip()):
            found["["] = heading[1]
        elif pair := re.match(r"(\w+)\s*=\s*(.*)", line):
            found[pair[1].lower()] = pair[2].strip()
            if pair[1].lower() == last:
                yield dict(found)
        elif line.strip() == "FAIL":
            yield {**found, last: None}


def hex_of(found, name):
    return bytes.fromhex(found[name])


def check_hashes(folder):
    for path in sorted(folder.glob("hashes/SHA[123]*/*Msg.rsp")):
        name = re.sub(r"(Short|Long)Msg$", "", path.stem).lower().replace("sha512_", "sha512-")
        name = {"sha3_224": "sha3-224", "sha3_256": "sha3-256", "sha3_384": "sha3-384",
                "sha3_512": "sha3-512"}.get(name, name)
        for one in records(path, "md"):
            message = hex_of(one, "msg")[: int(one["len"]) // 8]
            yield path.name, one, hashlib.new(name, message).hexdigest() == one["md"].lower()
    for path in sorted(folder.glob("HMAC/rfc-4231-*.txt")):
        for one in records(path, "md"):
            yield path.name, one, hmac.new(hex_of(one, "key"), hex_of(one, "msg"),
                                           path.stem[9:]).hexdigest() == one["md"].lower()


def check_ciphers(folder):
    kinds = {"CBC": lambda iv: modes.CBC(iv), "OFB": lambda iv: modes.OFB(iv), "ECB": lambda iv: modes.ECB(),
             "CFB": lambda iv: modes.CFB(iv)}
    for kind, mode in kinds.items():
        for path in sorted(folder.glob(f"ciphers/AES/{kind}/*.rsp")):
            if re.match(r"CFB[18]\D", path.name):
                continue
            seen = {}
            for line in path.read_text().splitlines() + [""]:
                if pair := re.match(r"(\w+) = (\w*)$", line):
                    seen[pair[1]] = pair[2]
                elif not line and "CIPHERTEXT" in seen:
                    cipher = Cipher(algorithms.AES(hex_of(seen, "KEY")), mode(bytes.fromhex(seen.get("IV", ""))))
                    plain, secret = hex_of(seen, "PLAINTEXT"), hex_of(seen, "CIPHERTEXT")
                    encryptor, decryptor = cipher.encryptor(), cipher.decryptor()
                    good = encryptor.update(plain) + encryptor.finalize() == secret
                    yield path.name, seen, good and decryptor.update(secret) + decryptor.finalize() == plain
                    seen = {}


def check_gcm(folder):
    for path in sorted(folder.glob("ciphers/AES/GCM/gcmDecrypt*.rsp")):
        for one in records(path, "pt"):
            # A tag or IV may be too short for the library.
            if len(hex_of(one, "tag")) < 16 or len(hex_of(one, "iv")) < 8:
                continue
            cipher = Cipher(algorithms.AES(hex_of(one, "key")), modes.GCM(hex_of(one, "iv"), hex_of(one, "tag")))
            decryptor = cipher.decryptor()
            decryptor.authenticate_additional_data(hex_of(one, "aad"))
            try:
                plain = (decryptor.update(hex_of(one, "ct")) + decryptor.finalize()).hex()
            except InvalidTag:
                plain = None
            yield path.name, one, plain == one["pt"]


def check_rsa(folder):
    for path in sorted(folder.glob("asymmetric/RSA/FIPS_186-2/SigVer15_186-3.rsp")):
        for one in records(path, "result"):
            numbers = rsa.RSAPublicNumbers(int(one["e"], 16), int(one["n"], 16))
            try:
                numbers.public_key().verify(hex_of(one, "s"), hex_of(one, "msg"), padding.PKCS1v15(),
                                            HASHES[one["shaalg"]])
                good = True
            except (InvalidSignature, ValueError):
                good = False
            yield path.name, one, good == one["result"].startswith("P")


def check_ecdsa(folder):
    curves = {"P-224": ec.SECP224R1(), "P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    for path in sorted(folder.glob("asymmetric/ECDSA/FIPS_186-3/SigVer.rsp")):
        for one in records(path, "result"):
            curve, _, name = one["["].partition(",")
            if curve not in curves:
                continue
            try:
                key = ec.EllipticCurvePublicNumbers(int(one["qx"], 16), int(one["qy"], 16), curves[curve]).public_key()
                signature = utils.encode_dss_signature(int(one["r"], 16), int(one["s"], 16))
                key.verify(signature, hex_of(one, "msg"), ec.ECDSA(HASHES[name.replace("-", "")]))
                good = True
            except (InvalidSignature, ValueError):
                good = False
            yield path.name, one, good == one["result"].startswith("P")


def check_ed25519(folder):
    for line in (folder / "asymmetric/Ed25519/sign.input").read_text().splitlines():
        secret, public, message, signed = (bytes.fromhex(field) for field in line.split(":")[:4])
        key = ed25519.Ed25519PrivateKey.from_private_bytes(secret[:32])
        good = key.sign(message) == signed[:64]
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signed[:64], message)
        except InvalidSignature:
            good = False
        yield "sign.input", {"secret": secret[:32].hex()}, good


def main():
    part, folder = sys.argv[1], pathlib.Path((sys.argv + [FOLDER])[2])
    count = wrong = 0
    for name, what, good in globals()["check_" + part](folder):
        count += 1
        if not good:
            wrong += 1
            print(f"wrong: {name}: {what}")
    print(f"{part}: {count} compared, {wrong} wrong")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
