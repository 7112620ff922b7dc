"""Writes the results as a page from the documents next to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scaling import AXES
from benchmarks.workloads import WORKLOADS

_ROOF = "convolution 64 to 64 channels, 14x14, forward, channels last"
_ABSENT = "–"
_HEAD = """# Results of the benchmark

Written by `make bench` from the JSON documents next to it; [docs/performance.md](../../docs/performance.md) explains how to run it and
how to read the tables. Times are milliseconds of processor time per training step, float32 unless stated, median [quartiles of all
steps]. A ratio is a contender's time divided by that of ours or of the baseline (above 1: slower), median [extremes of the rounds].
Memory is the peak above that before the first step."""


def write_page(folder: Path) -> Path:
    """Write ``README.md`` of the results and return its path."""
    page = folder / "README.md"
    folder.mkdir(parents=True, exist_ok=True)
    page.write_text("\n\n".join(_sections(folder)) + "\n", encoding="utf-8")
    return page


def _sections(folder: Path) -> Iterator[str]:
    yield _HEAD
    steps = [document for name in WORKLOADS if (document := _read(folder / f"steps_{name}.json"))]
    if steps:
        yield "## Training steps of ours and its peers"
        yield from (_steps(document) for document in steps)
    roofline = _read(folder / "roofline.json")
    if roofline:
        yield f"## Roofline\n\n{_origin(roofline)}\n\n{_roofline(roofline)}"
    profiles = [document for name in WORKLOADS if (document := _read(folder / f"profile_{name}.json"))]
    if profiles:
        yield f"## Where the time of a step goes\n\n{_origin(profiles[0])}\n\n{_profiles(profiles, roofline)}"
    axes = [document for axis in AXES if (document := _read(folder / f"scaling_{axis.name}.json"))]
    if axes:
        yield "## Scaling"
        yield from (_axis(document) for document in axes)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _origin(document: dict[str, Any]) -> str:
    machine, rounds = document["machine"], document["rounds"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['day']}, commit {machine['commit']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"load {machine['load']}; {rounds['threads']} thread{'' if rounds['threads'] == 1 else 's'}; {machine['system']}, "
        f"{machine['libc']}, Python {machine['python']}, {versions}."
    )


def _steps(document: dict[str, Any]) -> str:
    rows = []
    for row in document["rows"]:
        name = f"{row['label']} ({row['remark']})" if row["remark"] else row["label"]
        if row["absent"]:
            rows.append([name, row["absent"], *[_ABSENT] * 4])
            continue
        steps = f"{row['steps']} in {row['rounds']}"
        ratios = (_ratio(row["beside_ours"]), _ratio(row["beside_baseline"]))
        rows.append([name, _spread(row["milliseconds"]), *ratios, _memory(row["peak_mb"]), steps])
    table = _table(["", "ms per step", "× ours", "× baseline", "MB above base", "steps in rounds"], rows)
    return f"### {document['title']}\n\n{table}\n\n{_origin(document)}"


def _roofline(document: dict[str, Any]) -> str:
    rows = [[row["operation"], f"{row['rate']:.0f} {row['unit']}", f"{row['best']:.0f}"] for row in document["rows"]]
    return _table(["operation, float32", "median", "best"], rows)


def _profiles(documents: Sequence[dict[str, Any]], roofline: dict[str, Any] | None) -> str:
    roof = next((row["rate"] for row in (roofline or {"rows": []})["rows"] if row["operation"] == _ROOF), None)
    kinds = list(documents[0]["rows"][0]["shares"])
    rows = []
    for document in documents:
        gigaflop = next(row["gigaflop"] for row in document["rows"] if "gigaflop" in row)
        for row in document["rows"]:
            rate = gigaflop / row["milliseconds"] * 1000
            share = _ABSENT if roof is None else f"{100 * rate / roof:.0f} %"
            cost = [f"{row['milliseconds']:.0f}", f"{gigaflop:.1f}", f"{rate:.0f}", share]
            rows.append([document["title"], row["label"], *(f"{100 * row['shares'][kind]:.0f}" for kind in kinds), *cost])
    head = ["step", "", *(f"{kind}, %" for kind in kinds), "ms", "GFLOP", "GFLOP/s", "of the roof"]
    return f"{_table(head, rows)}\n\n{_PROFILE_NOTE}"


_PROFILE_NOTE = (
    f"Shares are of the profiler's wall clock in one step, which the profiler lengthens; ms is measured without it. GFLOP counts the "
    f"convolutions and matrix products of the baseline's step, and is used for both. The roof is the {_ROOF}."
)


def _axis(document: dict[str, Any]) -> str:
    rows = []
    values = list(dict.fromkeys(row["value"] for row in document["rows"]))
    for value in values:
        ours, baseline = (row for row in document["rows"] if row["value"] == value)
        times = [_spread(row["milliseconds"]) if row["milliseconds"] else row["absent"] for row in (ours, baseline)]
        rows.append([str(value), *times, _ratio(baseline["beside_ours"]), _memory(ours["peak_mb"]), _memory(baseline["peak_mb"])])
    table = _table(["", "ours, ms", "baseline, ms", "baseline × ours", "ours, MB", "baseline, MB"], rows)
    return f"### {document['title']}\n\n{table}\n\n{_origin(document)}"


def _spread(spread: dict[str, float]) -> str:
    return f"{_three(spread['median'])} [{_three(spread['low'])}..{_three(spread['high'])}]"


def _ratio(spread: dict[str, float] | None) -> str:
    if spread is None:
        return _ABSENT
    return f"{spread['median']:.2f} [{spread['low']:.2f}..{spread['high']:.2f}]"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _memory(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
