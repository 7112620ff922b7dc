"""Reads the CPU limit that containers and batch systems set through Linux control groups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> float | None:
    """The number of CPUs, possibly fractional, that the process's group and its ancestors allow; None where there is no limit.

    Reads both versions of control groups. ``root`` is the folder that holds ``proc`` and ``sys``.
    """
    limits = [limit for folder in _folders(root) for limit in (_of_version_2(folder), _of_version_1(folder)) if limit is not None]
    return min(limits, default=None)


def _folders(root: Path) -> Iterator[Path]:
    """The folders of the process's own groups and of their ancestors, up to the mount point."""
    for line in _lines(root / "proc" / "self" / "cgroup"):
        _, controllers, group = _fields(line, ":", 3)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounted, within = _mount(root, controllers)
        folder = mounted / _below(within, group)
        yield from (each for each in (folder, *folder.parents) if each.is_relative_to(mounted))


def _mount(root: Path, controllers: str) -> tuple[Path, str]:
    """The mount point of these controllers, and the group that is mounted there."""
    for line in _lines(root / "proc" / "self" / "mountinfo"):
        mount, _, system = line.partition(" - ")
        kind, _, options = _fields(system, " ", 3)
        version_1 = kind == "cgroup" and "cpu" in options.split(" ")[-1].split(",")
        if version_1 if controllers else kind == "cgroup2":
            _, _, _, within, at, _ = _fields(mount, " ", 6)
            return root / at.lstrip("/"), within
    return root / "sys" / "fs" / "cgroup", "/"


def _below(within: str, group: str) -> Path:
    """A group relative to the mounted one. In a container it may not be below it: then it is the mounted group itself."""
    path = Path(group)
    return path.relative_to(within) if path.is_relative_to(within) else Path()


def _of_version_2(folder: Path) -> float | None:
    """Reads ``cpu.max``: microseconds of CPU time per period, then the period; ``max`` for no limit."""
    quota, period = _fields(" ".join(_lines(folder / "cpu.max")), " ", 2)
    return _share(quota, period)


def _of_version_1(folder: Path) -> float | None:
    """Reads the same two numbers from two files; a quota of -1 means no limit."""
    quota, period = (" ".join(_lines(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
    return _share(quota, period)


def _share(quota: str, period: str) -> float | None:
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) > 0 else None


def _fields(text: str, separator: str, count: int) -> list[str]:
    """A line's fields, of which the last takes the rest of the line; missing fields are empty."""
    found = text.split(separator, count - 1)
    return found + [""] * (count - len(found))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):  # a path with a NUL is a ValueError
        return []
