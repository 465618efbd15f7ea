"""What the checks share: the repository's root, its files, and how a check ends."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(*suffixes):
    """Paths of the repository's own files (tracked, or new and not ignored), below ROOT."""
    try:
        git = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
        said = subprocess.run(git, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        names = said.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):  # a release archive: no git
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if ".git/" not in str(p)]
    found = [ROOT / name for name in sorted(set(names)) if name]
    return [path for path in found
            if path.is_file() and (not suffixes or path.suffix in suffixes)
            and not path.relative_to(ROOT).parts[0].startswith("build")]


def show(path):
    return str(path.relative_to(ROOT))


def finish(problems, checked):
    """Prints what is wrong and ends the check. A check that looked at nothing has failed."""
    for line in problems:
        print(line)
    if not checked:
        print("nothing was checked")
    print(f"{checked} checked, {len(problems)} problems")
    sys.exit(bool(problems) or not checked)
