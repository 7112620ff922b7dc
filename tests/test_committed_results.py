"""Every folder under ``results/`` is what today's code makes of the records behind it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.statistics import confidence_interval_95, mean
from tests.committed_records import FORMERLY, read_export
from tests.counts_by_step import counts_like
from tests.rerender_results import RESULTS, rendered


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_a_committed_folder_is_what_the_code_makes_of_its_records(folder: Path, tmp_path: Path) -> None:
    made = rendered(folder, tmp_path)
    assert {path.name for path in made} == {path.name for path in folder.iterdir()}
    stale = [path.name for path in made if not _alike(path, folder / path.name)]
    assert not stale, f"stale: {', '.join(stale)}; python -m tests.rerender_results {folder.name} makes them again"


def _alike(made: Path, committed: Path) -> bool:
    """Texts by their bytes, tables by their values; pictures differ from one machine's fonts to another's."""
    if made.suffix == ".parquet":
        return _equal(pd.read_parquet(made), pd.read_parquet(committed))
    return made.suffix == ".png" or made.read_bytes() == committed.read_bytes()


def _equal(made: pd.DataFrame, committed: pd.DataFrame) -> bool:
    """Equal but for the last digits of an interval that was taken apart and put together again."""
    try:
        pd.testing.assert_frame_equal(made, committed, rtol=1e-9)
    except AssertionError:
        return False
    return True


@given(
    st.integers(1, 80).flatmap(lambda most: st.tuples(st.just(most), st.lists(st.integers(0, most), min_size=100, max_size=300)))
)
def test_counts_with_a_known_mean_and_interval_can_be_put_together(drawn: tuple[int, list[int]]) -> None:
    queries, counts = drawn
    accuracy, interval = (100 * of([count / queries for count in counts]) for of in (mean, confidence_interval_95))
    again = [count / queries for count in counts_like(accuracy, interval, episodes=len(counts), queries=queries)]
    assert len(again) == len(counts) and 0 <= min(again) <= max(again) <= 1
    assert 100 * mean(again) == pytest.approx(accuracy, abs=1e-9)
    assert 100 * confidence_interval_95(again) == pytest.approx(interval, abs=1e-9)


def test_exports_of_an_earlier_form_are_read_as_those_of_today(tmp_path: Path) -> None:
    """They had bare fingerprints, other names, times as texts and the accuracies of curves in 0..1."""
    today = {now: before for before, now in FORMERLY.items()}
    for name in ("trials", "episodes", "curves"):
        table = read_export(RESULTS[0], name)
        table.drop(columns="unit", errors="ignore").rename(columns=today).to_parquet(tmp_path / f"{name}.parquet")
        before = read_export(tmp_path, name)
        assert set(before) == set(table) - {"unit"}
        texts = [each[list(before)].astype("string").fillna("") for each in (before, table)]
        pd.testing.assert_frame_equal(*texts)
