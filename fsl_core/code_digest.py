"""The digest of the code that a process runs: two processes with the same digest compute the same thing."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

_PACKAGES = tuple(Path(__file__).resolve().parents[1] / name for name in ("fsl_core", "orchestrator"))
_CODE = (".py", ".txt")


def code_digest(packages: tuple[Path, ...] = _PACKAGES) -> str:
    """The SHA-256 of every file of the two packages: sources and class splits, by path and content, as this process first read them."""
    return _digest_of(packages)


@functools.cache
def _digest_of(packages: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(path for path in package.rglob("*") if path.suffix in _CODE and path.is_file()):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{package.name}/{path.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def code_location() -> Path:
    """The folder that this process imported the two packages from."""
    return _PACKAGES[0].parent
