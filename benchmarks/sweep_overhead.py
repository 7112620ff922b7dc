"""Times the overhead of a sweep beyond training: ``python benchmarks/sweep_overhead.py [--trials 16 1000] [--executors ray in-process]``.

Runs `fsl` as a user does, on tiny trials of synthetic characters, and times its lines: seconds of wall clock before the first trial,
per trial, and after the last one; the processor seconds of all its processes; the peak memory of the driver, of Ray's own process and of a
worker. Then it runs the finished sweep again, `fsl --help` and `fsl plan`. Trials of one step have hardly any work: their time is
overhead. Writes ``benchmarks/results/sweep_overhead.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from fsl_core.provenance import running_code

RESULTS = Path(__file__).parent / "results"
_EXECUTORS = ("ray", "in-process")
_SAMPLED_EVERY = 0.3
_MIB = 2**20
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


@dataclass(frozen=True)
class Launch:
    """One `fsl` command: seconds of wall clock and of processors, and peaks of memory in MiB, by role of the process."""

    wall: float
    processor: float
    peak_mib: Mapping[str, float]
    running_at: Sequence[float]
    ended_at: Sequence[float]


@dataclass
class Watched:
    """The resource use of a command's processes so far. It is sampled, so the last moments of a process are missed."""

    command: psutil.Process
    processor: dict[int, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)

    def sample(self) -> None:
        """Sample every process once."""
        for process in [self.command, *_children(self.command)]:
            try:
                times, role = process.cpu_times(), _role(process, self.command)
                peak = _peak_bytes(process) / _MIB
            except psutil.Error:
                continue
            self.processor[process.pid] = times.user + times.system
            self.peak_mib[role] = max(self.peak_mib.get(role, 0.0), peak)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _role(process: psutil.Process, command: psutil.Process) -> str:
    if process.pid == command.pid:
        return "driver"
    words = " ".join(process.cmdline())
    if "ray_driver" in words:
        return "ray's process"
    return "worker" if words.startswith("ray::") else "rest of ray"


def _peak_bytes(process: psutil.Process) -> int:
    """The peak memory of a process, from the kernel if it reports one."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return int(process.memory_info().rss)
    [kibibytes] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")] or ["0"]
    return int(kibibytes) * 1024


def launch(*arguments: str) -> Launch:
    """Run `fsl` with these arguments, and time its output. Raises SystemExit if it fails."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FSL_", "RAY_", "MLFLOW_"))}
    began = time.perf_counter()
    with subprocess.Popen(
        [Path(sys.executable).with_name("fsl"), *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watched = Watched(psutil.Process(process.pid))
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(watched, over))
        watcher.start()
        assert process.stderr is not None
        said = [(time.perf_counter() - began, line.rstrip()) for line in process.stderr]
        code = process.wait()
        wall = time.perf_counter() - began
        over.set()
        watcher.join()
    if code != 0:
        sys.exit(f"fsl {' '.join(arguments)} ended with {code}:\n" + "\n".join(line for _, line in said[-20:]))
    return Launch(
        wall=wall,
        processor=sum(watched.processor.values()),
        peak_mib={role: round(peak) for role, peak in watched.peak_mib.items()},
        running_at=[at for at, line in said if line.endswith(": running")],
        ended_at=[at for at, line in said if line.endswith(": done")],
    )


def _watch(watched: Watched, over: threading.Event) -> None:
    while not over.wait(_SAMPLED_EVERY):
        watched.sample()


def sweep_file(folder: Path, trials: int) -> Path:
    """Write a sweep of this many trials, a multiple of four."""
    path = folder / f"tiny{trials}.yaml"
    rates = ", ".join(f"{rate}.0e-6" for rate in range(1, trials // _SEEDS + 1))
    path.write_text(_SWEEP.format(name=f"tiny{trials}", seeds=", ".join(map(str, range(_SEEDS))), rates=rates))
    return path


def measured(folder: Path, trials: int, executor: str) -> Iterator[dict[str, object]]:
    """The rows of one sweep: run, run again when finished, and planned."""
    sweep, places = sweep_file(folder, trials), ["--runs-root", str(folder / f"{trials}-{executor}")]
    run = ["run", str(sweep), *places, "--results-root", str(folder / "results"), "--executor", executor, "--device", "cpu", "-y"]
    first = launch(*run)
    yield {
        "what": f"{trials} trials, {executor}",
        **_facts(first),
        "before the first trial": first.running_at[0],
        "a trial": (first.ended_at[-1] - first.running_at[0]) / trials,
        "after the last trial": first.wall - first.ended_at[-1],
    }
    yield {"what": f"{trials} trials, {executor}, finished before", **_facts(launch(*run))}
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
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "memory GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "load average": [round(each, 1) for each in os.getloadavg()],
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "ray", "mlflow")},
    }


def as_markdown(rows: Sequence[Mapping[str, object]], about: Mapping[str, object]) -> str:
    """The rows as a table below the machine."""
    columns = ("wall", "before the first trial", "a trial", "after the last trial", "processor")
    lines = ["# The overhead of a sweep beyond its training", "", ", ".join(f"{key} {value}" for key, value in about.items()), ""]
    lines += ["Seconds of wall clock, but for `processor`: those of all processes. Peaks of memory in MiB.", ""]
    lines += ["| what | " + " | ".join((*columns, "peak memory")) + " |", "|---|" + "---|" * (len(columns) + 1)]
    for row in rows:
        cells = [f"{value:.3g}" if isinstance(value := row.get(column), float) else "–" for column in columns]
        peaks = row.get("peak MiB")
        memory = ", ".join(f"{role} {peak}" for role, peak in peaks.items()) if isinstance(peaks, dict) else "–"
        lines.append(f"| {row['what']} | " + " | ".join((*cells, memory)) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print each row as it comes, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, nargs="+", default=[16, 1000], help="multiples of four")
    parser.add_argument("--executors", nargs="+", choices=_EXECUTORS, default=list(_EXECUTORS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to")
    options = parser.parse_args()
    about, rows = machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for trials in options.trials:
            for executor in options.executors:
                for row in measured(Path(folder), trials, executor):
                    print(json.dumps(row), flush=True)
                    rows.append(row)
    rows.append(help_row())
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "sweep_overhead.json").write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    (options.results / "sweep_overhead.md").write_text(as_markdown(rows, about))


if __name__ == "__main__":
    main()
