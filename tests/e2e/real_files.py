"""Real files of this machine, and comparing trees of them."""

import os
import shutil
from pathlib import Path

ROOTS = [
    "/usr/share/doc",
    "/usr/lib/python3",
    "~/.cargo/registry/src",
    "/usr/include",
    "/usr/share",
    "~/.rustup/toolchains",
    "/usr/lib",
]


def gather(target: Path, files: int, largest_bytes: int) -> int:
    """Copies the first `files` real files found into `target`; how many bytes they are."""
    taken, total, seen = 0, 0, set()
    for number, root in enumerate(ROOTS):
        root = Path(root).expanduser()
        for folder, folders, names in os.walk(root):
            folders.sort()
            if Path(folder) in seen:
                folders.clear()
                continue
            for name in sorted(names):
                source = Path(folder, name)
                if taken == files:
                    return total
                if not usable(source, largest_bytes):
                    continue
                copy = target / str(number) / source.relative_to(root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                try:
                    shutil.copyfile(source, copy)
                except PermissionError:
                    continue
                taken += 1
                total += copy.stat().st_size
        seen.add(root)
    raise AssertionError(f"this machine has only {taken} of {files} files to test with")


def usable(path: Path, largest_bytes: int) -> bool:
    """A regular file of a fair size whose name an S3 key can hold."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    if any(ord(c) < 0x20 for c in path.name) or path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_size <= largest_bytes


def tree_files(tree: Path) -> dict:
    """Every regular file below `tree`, by its path in it."""
    return {
        str(Path(folder, name).relative_to(tree)): Path(folder, name)
        for folder, _, names in os.walk(tree)
        for name in names
    }


def assert_same_trees(expected: Path, actual: Path):
    """The same files, and every byte the same."""
    left, right = tree_files(expected), tree_files(actual)
    missing, extra = left.keys() - right.keys(), right.keys() - left.keys()
    assert not missing, f"{len(missing)} files are missing, such as {sorted(missing)[:3]}"
    assert not extra, f"{len(extra)} files are new, such as {sorted(extra)[:3]}"
    for name, path in left.items():
        if not same_bytes(path, right[name]):
            raise AssertionError(f"{name} differs")


def same_bytes(one: Path, other: Path, piece: int = 4 << 20) -> bool:
    with open(one, "rb") as a, open(other, "rb") as b:
        while True:
            x, y = a.read(piece), b.read(piece)
            if x != y:
                return False
            if not x:
                return True
