"""Every folder under ``results/`` is what today's code makes of the records behind it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from orchestrator.plan import build_plan
from orchestrator.report.bundle import write_bundle
from orchestrator.report.published import load_registries
from orchestrator.sweep_loader import load_sweep
from tests.committed_records import CommittedResults

ROOT = Path(__file__).resolve().parents[1]
RESULTS = sorted(path.parent for path in (ROOT / "results").glob("*/table.json"))
NEEDS_COUNTS_BY_STEP = {"adaptation.parquet", "adaptation.png"}


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_a_committed_folder_is_what_the_code_makes_of_its_records(folder: Path, tmp_path: Path) -> None:
    committed = CommittedResults(folder)
    plan = build_plan(load_sweep(ROOT / "sweeps" / f"{folder.name}.yaml"))
    assert plan.fingerprint == committed.provenance["plan"], "the sweep file now means other trials than those committed"
    made = write_bundle(
        tmp_path, plan, committed.records(plan), load_registries(ROOT / "sweeps" / "published"), run_ids=committed.run_ids()
    )
    assert {path.name for path in made} == {path.name for path in folder.iterdir()}
    stale = [path.name for path in made if path.name not in NEEDS_COUNTS_BY_STEP and not _alike(path, folder / path.name)]
    assert not stale, f"made from the same records, these come out otherwise: {', '.join(stale)}"


def _alike(made: Path, committed: Path) -> bool:
    """Texts by their bytes, tables by their values; pictures differ from one machine's fonts to another's."""
    if made.suffix == ".parquet":
        return pd.read_parquet(made).equals(pd.read_parquet(committed))
    return made.suffix == ".png" or made.read_bytes() == committed.read_bytes()
