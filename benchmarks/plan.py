"""Times the planning of a large grid in processor seconds: ``python benchmarks/plan.py [cells]``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsl_core.training.timing import Timing
from orchestrator.launch.cost import CostBook
from orchestrator.launch.forecast import RAY_START, make_forecast
from orchestrator.launch.probing import unknown_kinds
from orchestrator.records.remembered import Machine
from orchestrator.records.store import Store
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan

_SWEEP = """
name: large
title: A large grid
seeds: [0]
fixed: {{dataset: glyphs, split: glyphs, way: 5, shot: 1}}
grid:
  filters: [4, 8, 16, 32, 64]
  outer_lr: [{rates}]
  scale: [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
"""


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.process_time()
    yield
    print(f"{what:<10} {time.process_time() - began:6.1f} s")


def main(cells: int) -> None:
    """Time every part of ``fsl plan --no-probe`` on a grid of about this many cells."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.yaml"
        path.write_text(_SWEEP.format(rates=", ".join(f"{rate}.0e-6" for rate in range(1, cells // 50 + 1))))
        with _timed("read"):
            spec = load_sweep(path)
        with _timed("plan"):
            plan = build_plan(spec)
        with _timed("records"):
            records = Store(Path(folder) / "runs").records([trial.fingerprint for trial in plan.trials])
    book = CostBook(Machine(device="cpu", device_name="", threads=1, torch=""))
    with _timed("kinds"):
        kinds = unknown_kinds(plan, records, book)
        for work in {work for kind in kinds for work in kind.works}:
            book.probed(work, Timing(seconds=(0.01,), wall=(0.01,)))
    with _timed("forecast"):
        make_forecast(plan, records, book, slots=2, start=RAY_START)
    print(f"{len(plan.cells):,} cells, {len(plan.trials):,} trials, {len(kinds)} kinds to time")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
