"""``python -m benchmarks.gpu``: times our training steps on one GPU on every execution path, and projects the hours of a sweep.

It needs only torch, numpy and Pillow, like ``python -m fsl_core.train``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu_document import earlier_document, new_document, with_steps_in
from benchmarks.gpu_page import file_stem, write_gpu_page
from benchmarks.gpu_projection import algorithm_of, projected, requests_in
from benchmarks.gpu_steps import PathTiming, fastest, kind_of, timed_paths
from benchmarks.gpu_workloads import COMPILED, WORKLOADS, GpuWorkload, tiny
from fsl_core.recipe.matmul_precision import device_has
from fsl_core.recipe.recipe import TrainingRecipe
from fsl_core.training.compiled_code import compiled_code_in
from fsl_core.training.execution_path import ExecutionPath, cuda_is_here, fix_cublas_workspace

RESULTS = Path(__file__).parent / "results"
_SEEDS = 3  # of the table: timed together on each step's fastest path


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Time training steps on one GPU.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal with hardly any work")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="start no path that is not compiled after this many minutes (default: 5)"
    )
    parser.add_argument(
        "--workload", action="append", default=[], metavar="TEXT", help="only workloads with TEXT in the title; may be repeated"
    )
    parser.add_argument(
        "--compile",
        action="append",
        metavar="TEXT",
        help=f"time workloads with TEXT in the title on a compiled path too; may be repeated (default: {', '.join(COMPILED)})",
    )
    parser.add_argument(
        "--only-compiled",
        action="store_true",
        help="time no step on paths that are not compiled, and add the rest to the results of an earlier call on this device, of the "
        "same code",
    )
    parser.add_argument(
        "--trials", type=Path, help="folder written by `fsl plan SWEEP --write-trials`: project the hours of its trials"
    )
    parser.add_argument(
        "--projection-minutes", type=float, default=4.0, help="time nothing more for the projection after this many (default: 4)"
    )
    parser.add_argument("--results", type=Path, help="output folder (default: benchmarks/results; required with --device cpu)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Time the steps, project the hours, and write both; timings are written after each step."""
    parser = _arguments()
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not cuda_is_here():
        parser.error("this machine offers no CUDA device; --device cpu --results DIR rehearses")
    if given.device == "cpu" and given.results is None:
        parser.error("--device cpu needs --results DIR: its figures do not describe a GPU")
    try:
        requests = () if given.trials is None else requests_in(given.trials)
    except FileNotFoundError as error:
        parser.error(str(error))
    workloads = WORKLOADS if given.device == "cuda" else [tiny(each) for each in WORKLOADS]
    chosen = [each for each in workloads if not given.workload or any(text in each.title for text in given.workload)]
    compiled = [each for each in chosen if any(text in each.title for text in given.compile or COMPILED)]
    fix_cublas_workspace()
    seconds, began = 60 * given.minutes, time.monotonic()
    document = new_document(given.device)
    target = (RESULTS if given.results is None else given.results) / file_stem(document["gpu"]["name"])
    if given.only_compiled:
        try:
            document = earlier_document(target.with_suffix(".json"), document)
            compiled = with_steps_in(document, compiled)
        except ValueError as error:
            parser.error(str(error))
    with (
        tempfile.TemporaryDirectory() as code,
        compiled_code_in(Path(code)),
    ):  # empty: the time of compiling is that of a first time
        if not given.only_compiled:
            _time_steps(document, chosen, given.device, target, until=began + seconds)
        if requests:
            projection = projected(requests, given.device, _winners(document), seconds=60 * given.projection_minutes)
            document["projection"] = {"trials": f"{len(requests)} trials in {given.trials.name}", **projection.as_plain()}
            _write(document, target)
        _time_compiled_steps(document, compiled, given.device, target)
    document["seconds"] = (document["seconds"] or 0.0) + time.monotonic() - began
    _write(document, target)
    print(f"written: {target}.json and .md, after {document['seconds']:.0f} s")


def _time_steps(document: dict[str, Any], workloads: Sequence[GpuWorkload], device: str, target: Path, *, until: float) -> None:
    """Time every workload in equal shares of the remaining time, on paths that are not compiled."""
    for number, workload in enumerate(workloads):
        now = time.monotonic()
        kind = kind_of(workload.recipe, device)
        share = now + (until - now) / (len(workloads) - number)
        timings = list(timed_paths(workload.recipe, (path for path in kind.candidates() if not path.compiled), until=share))
        first = fastest(timings)
        coarse: list[PathTiming] = []
        if first is not None:  # the same forms for several seeds, and in TF32, whatever time is left
            timings += timed_paths(workload.recipe, [replace(kind, seeds=_SEEDS).together(first.path)], until=now)
            coarse = _in_tf32(workload.recipe, first.path, device)
        document["steps"].append(
            {
                "title": workload.title,
                "work": kind.as_plain(),
                "fastest": None if first is None else first.as_plain(),
                "paths": [each.as_plain() for each in timings],
                "tf32": [each.as_plain() for each in coarse],
            }
        )
        _write(document, target)
        _say(workload.title, first)


def _winners(document: Mapping[str, Any]) -> dict[str, list[ExecutionPath]]:
    """The fastest path of each step that is timed, of one seed and not compiled, by kind of algorithm."""
    recipes = {each.title: each.recipe for each in WORKLOADS}
    winners: dict[str, list[ExecutionPath]] = {}
    for step in document["steps"]:
        timed = [each for each in _alone(step) if not each["path"]["compiled"]]
        if timed:
            path = ExecutionPath(**min(timed, key=_median)["path"])
            winners.setdefault(algorithm_of(recipes[step["title"]]), []).append(path)
    return winners


def _alone(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The timings of a step on paths of one seed."""
    return [each for each in step["paths"] if each["milliseconds"] is not None and each["path"]["seeds_together"] == 1]


def _time_compiled_steps(document: dict[str, Any], workloads: Sequence[GpuWorkload], device: str, target: Path) -> None:
    """Add the timings of workloads, whose other paths are in the document, on a compiled path, in float32 and in TF32."""
    steps = {step["title"]: step for step in document["steps"]}
    for workload in workloads:
        step, path = steps[workload.title], kind_of(workload.recipe, device).compiled()
        timings = list(timed_paths(workload.recipe, [path], until=time.monotonic()))  # the first path of a call is always timed
        new = {"paths": timings, "tf32": _in_tf32(workload.recipe, path, device)}
        for name, own in new.items():  # in place of those of an earlier call
            step[name] = [each for each in step[name] if not each["path"]["compiled"]] + [each.as_plain() for each in own]
        step["fastest"] = min(_alone(step), key=_median, default=None)
        _write(document, target)
        _say(f"{workload.title}, compiled", fastest(timings))


def _in_tf32(recipe: TrainingRecipe, path: ExecutionPath, device: str) -> list[PathTiming]:
    """The timing of a path in TF32, on a device that has it."""
    if not device_has(device, "tf32"):
        return []
    return list(timed_paths(replace(recipe, matmul_precision="tf32"), [path], until=time.monotonic()))


def _median(timing: Mapping[str, Any]) -> float:
    return float(timing["milliseconds"]["median"])


def _say(title: str, timing: PathTiming | None) -> None:
    if timing is None or timing.milliseconds is None:
        print(f"{title}: none works", flush=True)
    else:
        print(f"{title}: {timing.milliseconds.median:.3f} ms, {timing.path}", flush=True)


def _write(document: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    write_gpu_page(target.with_suffix(".md"), document)


if __name__ == "__main__":
    main()
