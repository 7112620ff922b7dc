"""Times a command of `fsl` from outside: the moments of its lines, the processor seconds and the memory of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

_SAMPLED_EVERY = 0.3
_MIB = 2**20


class Sample(NamedTuple):
    """A moment of a command, in seconds since its start: the processor seconds of its processes so far, and the driver's memory."""

    at: float
    processor: float
    driver_mib: float


@dataclass(frozen=True)
class Launch:
    """One `fsl` command: seconds of wall clock and of processors, and peaks of memory in MiB, by role of the process."""

    wall: float
    processor: float
    peak_mib: Mapping[str, float]
    running_at: Sequence[float]
    ended_at: Sequence[float]
    samples: Sequence[Sample]

    def between(self, began: float, ended: float) -> Sample:
        """The difference of the samples that are nearest to two moments, in seconds since the start."""
        first, last = (min(self.samples, key=lambda sample: abs(sample.at - moment)) for moment in (began, ended))
        return Sample(last.at - first.at, last.processor - first.processor, last.driver_mib - first.driver_mib)


@dataclass
class Watched:
    """The resource use of a command's processes so far. It is sampled, so the last moments of a process are missed."""

    command: psutil.Process
    processor: dict[int, float] = field(default_factory=dict)
    peak_mib: dict[str, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

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
        self.samples.append(Sample(time.perf_counter() - self.began, sum(self.processor.values()), self._driver_mib()))

    def _driver_mib(self) -> float:
        try:
            return float(self.command.memory_info().rss / _MIB)
        except psutil.Error:
            return self.samples[-1].driver_mib if self.samples else 0.0


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


def launch(*arguments: str, minutes: float | None = None) -> Launch:
    """Run `fsl` with these arguments, for so many minutes at most, and time its output. Raises SystemExit if it fails."""
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
        limit = threading.Timer(60 * (minutes or 0), process.send_signal, [signal.SIGINT])
        if minutes is not None:
            limit.start()
        assert process.stderr is not None
        said = [(time.perf_counter() - began, line.rstrip()) for line in process.stderr]
        code = process.wait()
        wall = time.perf_counter() - began
        stopped = minutes is not None and not limit.is_alive()
        limit.cancel()
        over.set()
        watcher.join()
    if code != 0 and not stopped:
        sys.exit(f"fsl {' '.join(arguments)} ended with {code}:\n" + "\n".join(line for _, line in said[-20:]))
    return Launch(
        wall=wall,
        processor=sum(watched.processor.values()),
        peak_mib={role: round(peak) for role, peak in watched.peak_mib.items()},
        running_at=[at for at, line in said if line.endswith(": running")],
        ended_at=[at for at, line in said if line.endswith(": done")],
        samples=watched.samples,
    )


def _watch(watched: Watched, over: threading.Event) -> None:
    while not over.wait(_SAMPLED_EVERY):
        watched.sample()
