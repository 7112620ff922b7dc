"""Plain text in columns, and sizes and durations as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Rows of cells as lines of aligned columns; the columns numbered in ``right`` are flush right."""
    table = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def size_text(size: float) -> str:
    """A number of bytes, such as ``3.4 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def took_text(seconds: float) -> str:
    """A measured number of seconds, two digits of it: ``54 days``."""
    return about_text(seconds, seconds, seconds).removeprefix("about ")


_UNITS = (("s", 1, 100), ("min", 60, 100 * 60), ("h", 3600, 48 * 3600), ("days", 86_400, 730 * 86_400))


def about_text(low: float, likely: float, high: float) -> str:
    """A number of seconds as far as it is known, two digits of it: ``about 54 days, 35 to 80``."""
    unit, size = next(((unit, size) for unit, size, most in _UNITS if likely < most), ("years", 365 * 86_400))
    start, middle, end = (two_digits(seconds / size) for seconds in (low, likely, high))
    return f"about {middle} {unit}" + ("" if start == end else f", {start} to {end}")


def two_digits(number: float) -> str:
    """A number rounded to two significant digits: ``54``, ``3.1``, ``1,300``; below 0.1 it is ``0``."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 or rounded < 0.1 else f"{rounded:.1f}"
