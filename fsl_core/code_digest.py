"""The digest of the code that a process runs, plug-ins included: two processes with the same digest compute the same thing."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from fsl_core.plugin_code import plugin_sources

_PACKAGES = tuple(Path(__file__).resolve().parents[1] / name for name in ("fsl_core", "orchestrator"))
_CODE = (".py", ".txt")


def code_digest(packages: tuple[Path, ...] = _PACKAGES) -> str:
    """The SHA-256 over every file of the two packages and of the installed plug-ins, as this process first read them.

    Sources and class splits count, by path and content.
    """
    return _digest_of((*packages, *plugin_sources()))


def step_code_digest() -> str:
    """The SHA-256 of the code that determines the time of a step: ``fsl_core`` and the installed plug-ins, not the orchestrator."""
    return code_digest(_PACKAGES[:1])


@functools.cache
def _digest_of(packages: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for package in packages:
        for path in [package] if package.is_file() else _code_in(package):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{package.name}/{path.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _code_in(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*") if path.suffix in _CODE and path.is_file())


def code_location() -> Path:
    """The folder from which this process imported the two packages."""
    return _PACKAGES[0].parent
