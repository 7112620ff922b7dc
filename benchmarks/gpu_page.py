"""Writes the timings on a GPU as a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_ABSENT = "–"


def file_stem(device_name: str) -> str:
    """The name of a device's results, without an ending."""
    return f"gpu-{re.sub('[^a-z0-9]+', '-', device_name.lower()).strip('-')}"


def write_gpu_page(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page of a document of :mod:`benchmarks.gpu`."""
    path.write_text("\n\n".join(_sections(document)) + "\n", encoding="utf-8")


def _sections(document: Mapping[str, Any]) -> Iterator[str]:
    gpu, machine = document["gpu"], document["machine"]
    yield f"# Training steps on {gpu['name']}"
    yield (
        f"Written by `python -m benchmarks.gpu`, commit {machine['commit']}, {machine['day']}; torch {machine['versions']['torch']}, CUDA "
        f"{gpu['cuda'] or _ABSENT}, driver {gpu['driver'] or _ABSENT}; host with {machine['cores']} cores, load {machine['load']}. "
        "Float32; milliseconds of wall clock per step, and per seed where several train together, median [quartiles] of batches of "
        "steps, after each of which the host waits for the device. "
        "Preparing is the time until the first step is done: libraries, compilation, warm-up steps and the capture of the graph"
        f"{'; compiled code may have been there from an earlier process' if document['code_compiled_before'] else ''}. "
        "Memory is the peak of tensors, and of all that the process held on the device."
    )
    yield "## The fastest path of each step"
    yield _table(
        [
            "step",
            "ms",
            "seeds together, not compiled: ms a seed, seeds",
            "TF32, ms",
            "path",
            "preparing, s",
            "tensors / held, MB",
        ],
        [_fastest(each) for each in document["steps"] if each["fastest"] is not None],
    )
    for each in document["steps"]:
        yield f"### {each['title']}"
        yield _table(
            ["ms", "path", "preparing, s", "tensors / held, MB"],
            [
                *(_cells(timing) for timing in sorted(each["paths"], key=_median)),
                *([f"{ms} in TF32", *rest] for ms, *rest in map(_cells, sorted(each["tf32"], key=_median))),
            ],
        )
    if document["projection"] is not None:
        yield from _projection(document["projection"])


def _fastest(step: Mapping[str, Any]) -> list[str]:
    milliseconds, *rest = _cells(step["fastest"])
    together = [f"{_cells(each)[0]}, {seeds}" for each in step["paths"] if (seeds := each["path"]["seeds_together"]) > 1]
    coarse = min(step["tf32"], key=_median, default=None)
    in_tf32 = _ABSENT if coarse is None else f"{_cells(coarse)[0]}{', compiled' if coarse['path']['compiled'] else ''}"
    return [step["title"], milliseconds, *(together or [_ABSENT]), in_tf32, *rest]


def _projection(projection: Mapping[str, Any]) -> Iterator[str]:
    yield f"## Projected hours of {projection['trials']}"
    yield (
        "Trials run one after another on one device. From the earliest possible end by patience to the whole budget of every trial; "
        f"the parts are of the latter. Excluded: {projection['leaves_out']}. Units of work that could not be measured in the time "
        f"given: {projection['unknown']}."
    )
    yield _table(
        ["trials", "counted", "hours", "steps", "validations", "evaluations"],
        [
            [
                each["name"],
                f"{each['counted']}/{each['trials']}",
                f"{each['least']:.3g} to {each['most']:.3g}" if each["counted"] else _ABSENT,
                *(f"{each[part]:.3g}" if each["counted"] else _ABSENT for part in ("steps", "validations", "evaluations")),
            ]
            for each in projection["groups"]
        ],
    )
    yield "The fastest path of each kind of step; in brackets a compiled path that was slower."
    compiled = {each["recipe"]: each for each in projection["compiled"] if each not in projection["steps"]}
    yield _table(
        ["step", "ms", "path", "preparing, s", "tensors / held, MB"],
        [[each["recipe"], *_beside(_cells(each), compiled.get(each["recipe"]))] for each in projection["steps"]],
    )


def _beside(cells: list[str], slower: Mapping[str, Any] | None) -> list[str]:
    """The cells of a timing, with the milliseconds of a slower one."""
    return cells if slower is None else [f"{cells[0]} ({_cells(slower)[0]})", *cells[1:]]


def _median(timing: Mapping[str, Any]) -> float:
    return float("inf") if timing["milliseconds"] is None else float(timing["milliseconds"]["median"])


def _cells(timing: Mapping[str, Any]) -> list[str]:
    spread = timing["milliseconds"]
    if spread is None:
        return [_ABSENT, f"{_name(timing['path'])}: {timing['problem']}".replace("|", "/"), _ABSENT, _ABSENT]
    held = timing["allocated_mb"]
    return [
        f"{spread['median']:.3g} [{spread['low']:.3g}, {spread['high']:.3g}]",
        _name(timing["path"]),
        f"{timing['preparing']:.2f}",
        _ABSENT if held is None else f"{held:.0f} / {timing['reserved_mb']:.0f}",
    ]


def _name(path: Mapping[str, Any]) -> str:
    forms = (
        f"{path['layout']}, {path['normalisation']}, {path['convolution']}, {path['stem']}, {path['episodes_at_once']} at once"
    )
    seeds = f", {path['seeds_together']} seeds together" if path["seeds_together"] > 1 else ""
    return f"{forms}{', compiled' if path['compiled'] else ''}{', graph' if path['captured'] else ''}{seeds}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
