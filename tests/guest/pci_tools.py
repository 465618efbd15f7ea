"""lspci for guests."""

import pathlib
import re
import tempfile

import debian
import vm


def lspci_files():
    """lspci and the libraries that it needs, for the guest's /test."""
    files = {}
    with tempfile.TemporaryDirectory() as tmp:
        for deb in vm.fetched("debs", "pciutils"):
            if re.match(r"(pciutils|libpci3|libkmod2|libudev1|zlib1g|liblzma5|libzstd1|libssl3\w*|libcap2)_",
                        pathlib.Path(deb).name):
                debian.run("dpkg-deb", "-x", deb, tmp)
        for path in pathlib.Path(tmp).rglob("*"):
            if path.name == "lspci" and path.is_file():
                files["bin/lspci"] = path.read_bytes()
            elif re.search(r"\.so\.[\d.]+$", path.name) and path.is_file():
                soname = re.sub(r"(\.so\.\d+)\..*", r"\1", path.name)
                files["lib/" + soname] = path.read_bytes()
    assert "bin/lspci" in files and "lib/libpci.so.3" in files, sorted(files)
    return files
