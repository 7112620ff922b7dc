"""Times the overhead of a sweep beyond training: ``python -m benchmarks.sweep_overhead [--trials 16 1000]``.

Runs `fsl` as a user does, on tiny trials of synthetic characters, and times its lines: seconds of wall clock before the first trial,
per trial, and after the last one; the processor seconds of all its processes, in all and per trial, which exclude other work on a busy
machine; the peak memory of the driver, of Ray's own process and of a worker, and how far the driver grew between the tenth trial and the
last. After ``--minutes`` a sweep is stopped as by Ctrl-C, and the trials that ended until then count. Then it runs the finished sweep
again, `fsl --help` and `fsl plan`. Trials of one step have hardly any work: their time is overhead. Writes
``benchmarks/results/sweep_overhead.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.timed_command import Launch, launch
from fsl_core.processor import processor_name
from fsl_core.provenance import running_code

RESULTS = Path(__file__).parent / "results"
_EXECUTORS = ("ray", "in-process")
_SWEEP = """
name: {name}
title: Tiny trials
seeds: [{seeds}]
fixed: {{dataset: glyphs, split: glyphs, way: 5, shot: 1, query: 2, train_way: 5, train_query: 3, filters: 8, steps: 1,
        patience: null, validation_every: 1, validation_episodes: 2, validation_query: 2, evaluation_episodes: 2}}
grid:
  outer_lr: [{rates}]
"""
_SEEDS = 4


def sweep_file(folder: Path, trials: int) -> Path:
    """Write a sweep of this many trials, a multiple of four."""
    path = folder / f"tiny{trials}.yaml"
    rates = ", ".join(f"{rate}.0e-6" for rate in range(1, trials // _SEEDS + 1))
    path.write_text(_SWEEP.format(name=f"tiny{trials}", seeds=", ".join(map(str, range(_SEEDS))), rates=rates))
    return path


def measured(
    folder: Path, trials: int, executor: str, *, minutes: float | None = None, at_once: int | None = None
) -> Iterator[dict[str, object]]:
    """The rows of one sweep: run, run again when finished, and planned. A sweep that was stopped is not run again.

    ``at_once`` limits the trials that run concurrently; such a sweep is only run.
    """
    sweep, name = sweep_file(folder, trials), f"{trials} trials, {executor}{f', {at_once} at once' if at_once else ''}"
    places = ["--runs-root", str(folder / name.replace(", ", "-").replace(" ", "-"))]
    run = ["run", str(sweep), *places, "--results-root", str(folder / "results"), "--executor", executor, "--device", "cpu", "-y"]
    first = launch(*run, *(["--max-concurrent", str(at_once)] if at_once else []), minutes=minutes)
    ended = len(first.ended_at)
    during, grown = (first.between(began, first.ended_at[-1]) for began in (first.running_at[0], first.ended_at[:10][-1]))
    yield {
        "what": name if ended == trials else f"{ended} of {name}",
        **_facts(first),
        "before the first trial": first.running_at[0],
        "a trial": (first.ended_at[-1] - first.running_at[0]) / ended,
        "processor a trial": during.processor / ended,
        "driver grew MiB": grown.driver_mib,
        "after the last trial": first.wall - first.ended_at[-1],
    }
    if ended < trials or at_once:
        return
    yield {"what": f"{name}, finished before", **_facts(launch(*run))}
    if executor == _EXECUTORS[0]:
        yield {"what": f"fsl plan of {trials} trials", **_facts(launch("plan", str(sweep), *places))}


def _facts(one: Launch) -> dict[str, object]:
    return {"wall": one.wall, "processor": one.processor, "peak MiB": dict(one.peak_mib)}


def help_row(rounds: int = 5) -> dict[str, object]:
    """Time `fsl --help`: the median of some rounds."""
    launches = [launch("--help") for _ in range(rounds)]
    return {"what": "fsl --help", "wall": statistics.median(each.wall for each in launches)}


def machine() -> dict[str, object]:
    """The machine, the commit, and the load."""
    code = running_code()
    return {
        "commit": f"{(code.git_commit or 'unknown')[:7]}{'+' if code.git_dirty else ''}",
        "processor": processor_name(),
        "cpus": os.cpu_count(),
        "memory GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "load average": [round(each, 1) for each in os.getloadavg()],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "ray", "mlflow")},
    }


def as_markdown(rows: Sequence[Mapping[str, object]], about: Mapping[str, object]) -> str:
    """The rows as a table below the machine."""
    columns = (
        "wall",
        "before the first trial",
        "a trial",
        "after the last trial",
        "processor",
        "processor a trial",
        "driver grew MiB",
    )
    lines = ["# The overhead of a sweep beyond its training", "", ", ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["Seconds of wall clock; `processor`: processor seconds of all processes. Peaks of memory in MiB.", ""]
    lines += ["| what | " + " | ".join((*columns, "peak memory")) + " |", "|---|" + "---|" * (len(columns) + 1)]
    for row in rows:
        cells = [f"{value:.3g}" if isinstance(value := row.get(column), float) else "–" for column in columns]
        peaks = row.get("peak MiB")
        memory = ", ".join(f"{role} {peak}" for role, peak in peaks.items()) if isinstance(peaks, dict) else "–"
        lines.append(f"| {row['what']} | " + " | ".join((*cells, memory)) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print each row as it comes, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, nargs="+", default=[16, 1000], help="multiples of four")
    parser.add_argument("--executors", nargs="+", choices=_EXECUTORS, default=list(_EXECUTORS))
    parser.add_argument("--at-once", type=int, nargs="+", default=[], help="run the first sweep so many at a time under Ray too")
    parser.add_argument("--minutes", type=float, help="stop each sweep after so many; default: no limit")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to")
    options = parser.parse_args(arguments)
    about, rows = machine(), []
    with tempfile.TemporaryDirectory() as folder:
        sweeps = [(trials, executor, None) for trials in options.trials for executor in options.executors]
        for trials, executor, at_once in (*sweeps, *((options.trials[0], "ray", limit) for limit in options.at_once)):
            for row in measured(Path(folder), trials, executor, minutes=options.minutes, at_once=at_once):
                print(json.dumps(row), flush=True)
                rows.append(row)
    rows.append(help_row())
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "sweep_overhead.json").write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    (options.results / "sweep_overhead.md").write_text(as_markdown(rows, about))


if __name__ == "__main__":
    main()
