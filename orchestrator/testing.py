"""The contract of an addition in a whole sweep: its file, its plan, its run, its table, its exports, and a second run.

A test of one's own algorithm is two lines::

    def test_the_sweep(tmp_path):
        check_sweep({"algorithm": "my_algorithm"}, folder=tmp_path)

:mod:`fsl_core.testing` has the contract of a training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from fsl_core.testing import SMALL, require
from orchestrator.api.exporting import export
from orchestrator.api.loading import load
from orchestrator.api.planning import plan
from orchestrator.api.running import run
from orchestrator.launch.callbacks import Callbacks
from orchestrator.launch.workspace import Sweep

_SETTINGS: Mapping[str, object] = {
    "dataset": "glyphs",
    "split": "glyphs",
    "way": 3,
    "shot": 1,
    "query": 2,
    "train_query": 2,
    "meta_batch_size": 2,
    "steps": 4,
    "patience": None,
    "validation_every": 2,
    "validation_way": 3,
    "validation_episodes": 4,
    "validation_query": 2,
    "evaluation_episodes": 5,
}
"""A sweep of seconds."""


def check_sweep(settings: Mapping[str, object], *, folder: Path, data_root: Path | None = None) -> None:
    """A sweep with the addition is read, planned, run to its table and exported; run again it computes nothing and says the same.

    Args:
        settings: by the keys of sweep files, such as ``{"algorithm": "my_algorithm"}``.
        folder: an empty folder of this test's own.
        data_root: where the images of its data set lie, if they lie anywhere.

    Raises:
        ContractError: with what the addition does not do.
    """
    sweep = _loaded(settings, folder, data_root)
    _check_plan(sweep, settings)
    first = run(sweep, executor="in-process", probe=False, tracker="none")
    require(first.complete, f"the sweep is not complete: {first!r}")
    require(len(first.outcome.computed) == 1, f"of one trial {len(first.outcome.computed)} were computed")
    table, text = first.table(), first.table().text()
    require([row.reproduced is not None for row in table.rows] == [True], "the table has no number")
    _check_exports(sweep, settings, folder)
    again = run(sweep, executor="in-process", probe=False, tracker="none")
    require(not again.outcome.computed, "run again, the sweep computed a finished trial")
    require(again.table().text() == text, "run again, the sweep has another table")


def _loaded(settings: Mapping[str, object], folder: Path, data_root: Path | None) -> Sweep:
    folder.mkdir(parents=True, exist_ok=True)
    small = SMALL.get(str(settings.get("backbone", "conv4")), {})
    fixed = {**_SETTINGS, **small, **settings}
    document = {"name": "contract", "title": "The contract of an addition", "seeds": [0], "fixed": fixed}
    path = folder / "contract.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    silent = Callbacks(notice=lambda text: None)
    return load(path, data_root=data_root, runs_root=folder / "runs", results_root=folder / "results", callbacks=silent)


def _check_plan(sweep: Sweep, settings: Mapping[str, object]) -> None:
    planned = plan(sweep, probe=False)
    (cell,) = planned.workspace.plan.cells
    for key, value in settings.items():
        require(getattr(cell.settings, key) == value, f"the cell's {key} is {getattr(cell.settings, key)!r}, not {value!r}")


def _check_exports(sweep: Sweep, settings: Mapping[str, object], folder: Path) -> None:
    """Every setting has a column that holds it, and what is written is read back."""
    exports = export(sweep, folder / "exports")
    trials = pd.read_parquet(exports.files["trials"])
    require(len(trials) == 1 and trials["status"].iloc[0] == "done", "the exports do not have the finished trial")
    for key, value in settings.items():
        if key in trials:
            found = trials[key].iloc[0]
            require(pd.notna(found) and found == value, f"the export's {key} is {found!r}, not {value!r}")
