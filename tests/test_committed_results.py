"""Every folder under ``results/`` but those of the first edition is what today's code makes of the records behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.episodes.statistics import confidence_interval_95, mean
from fsl_core.errors import RecipeError
from orchestrator.records.trial_record import TrialRecord
from orchestrator.sweep.loader import load_sweep
from orchestrator.sweep.plan import build_plan
from tests.committed_records import FIRST_EDITION, FORMERLY, RESULTS, ROOT, CommittedResults, read_export
from tests.counts_by_step import counts_like
from tests.orchestrator.report import reported_sweep, test_adaptation
from tests.orchestrator.report.written_report import write_report_folder
from tests.rerender_results import main as rerender
from tests.rerender_results import rendered


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_a_committed_folder_is_what_the_code_makes_of_its_records(folder: Path, tmp_path: Path) -> None:
    stale = stale_files(folder, tmp_path)
    assert not stale, f"stale: {', '.join(stale)}; python -m tests.rerender_results {folder.name} makes them again"


def test_every_folder_of_results_is_checked() -> None:
    """Either made again, or of the first edition, which tests/test_first_edition.py holds against itself."""
    first_edition = ROOT / "results" / "first_edition"
    assert {*RESULTS, first_edition} == set((ROOT / "results").iterdir())
    assert set(FIRST_EDITION) == set(first_edition.iterdir())


SWEEPS = {"reported": reported_sweep.SWEEP, "adapting": test_adaptation.SWEEP}


@pytest.fixture(params=SWEEPS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What a launch leaves of a sweep with invented results, of which some seeds are missing, beside its sweep file."""
    (tmp_path / f"{request.param}.yaml").write_text(SWEEPS[request.param])
    plan = build_plan(load_sweep(tmp_path / f"{request.param}.yaml"))
    records = (
        reported_sweep.records_of(plan, {0: [70, 75, 60], 2: [71, 74]})
        if request.param == "reported"
        else test_adaptation.records_of(plan, apart=5)
    )
    write_report_folder(tmp_path / "results" / request.param, plan, records, reported_sweep.registries())
    return tmp_path / "results" / str(request.param)


def test_a_folder_that_a_launch_leaves_is_made_again_from_itself(folder: Path, tmp_path: Path) -> None:
    assert not stale_files(folder, tmp_path / "again", sweeps=tmp_path)


def test_a_number_or_a_file_that_does_not_follow_from_the_records_is_found(folder: Path, tmp_path: Path) -> None:
    for name, now, then in (("table.md", "±", "+"), ("table.json", '"reproduced": 9', '"reproduced": 8')):
        before = (folder / name).read_text()
        (folder / name).write_text(before.replace(now, then))
    (folder / "unknown.md").write_text("")
    episodes = pd.read_parquet(folder / "episodes.parquet")
    episodes.loc[3, "accuracy_percent"] += 1
    episodes.to_parquet(folder / "episodes.parquet")
    numbers = {"table.json"} if folder.name == "reported" else set()
    found = stale_files(folder, tmp_path / "again", sweeps=tmp_path)
    assert set(found) == {"table.md", "unknown.md", "episodes.parquet"} | numbers


def test_a_column_that_came_later_regenerates_nothing(folder: Path, tmp_path: Path) -> None:
    trials = pd.read_parquet(folder / "trials.parquet")
    trials.drop(columns="matmul_precision")[sorted(set(trials) - {"matmul_precision"})].to_parquet(folder / "trials.parquet")
    assert not stale_files(folder, tmp_path / "again", sweeps=tmp_path)


def test_a_column_that_vanished_or_changed_its_type_is_found(folder: Path, tmp_path: Path) -> None:
    trials, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("trials", "curves"))
    trials.assign(formerly=1).to_parquet(folder / "trials.parquet")
    curves.astype({"step": "Float64"}).to_parquet(folder / "curves.parquet")
    assert set(stale_files(folder, tmp_path / "again", sweeps=tmp_path)) == {"trials.parquet", "curves.parquet"}


def test_a_count_that_is_not_that_of_the_answers_is_refused(folder: Path, tmp_path: Path) -> None:
    episodes = pd.read_parquet(folder / "episodes.parquet")
    episodes.loc[3, "correct"] -= 1
    episodes.to_parquet(folder / "episodes.parquet")
    with pytest.raises(RecipeError, match="the answers do not match the counts"):
        stale_files(folder, tmp_path / "again", sweeps=tmp_path)


def test_a_sweep_file_that_means_other_trials_than_a_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    sweep = tmp_path / f"{folder.name}.yaml"
    sweep.write_text(sweep.read_text().replace("seeds: [0, 1", "seeds: [0, 5"))
    with pytest.raises(AssertionError, match="now means other trials"):
        stale_files(folder, tmp_path / "again", sweeps=tmp_path)


def test_further_trials_are_taken_from_the_report_of_a_part_of_the_sweep(folder: Path, tmp_path: Path) -> None:
    """A folder with the first seed, and a report of the other seeds, are together the folder of all seeds."""
    begun, part = in_two_parts(folder, tmp_path, part="1,2")
    assert stale_files(folder, tmp_path / "first", sweeps=tmp_path, committed=begun)
    assert not stale_files(folder, tmp_path / "again", sweeps=tmp_path, committed=begun, further=[part])


def test_a_trial_that_the_folder_has_is_not_taken_from_elsewhere(folder: Path, tmp_path: Path) -> None:
    begun, part = in_two_parts(folder, tmp_path, part="0,1,2")
    trials = pd.read_parquet(part / "trials.parquet")
    trials.assign(host="host-elsewhere", mlflow_run_id="run-elsewhere").to_parquet(part / "trials.parquet")
    rendered(begun, tmp_path / "again", sweeps=tmp_path, further=[part])
    taken = pd.read_parquet(tmp_path / "again" / "trials.parquet").query("status == 'done'")
    assert set(taken["seed"]) > {0}
    assert list(taken["host"]) == ["host-elsewhere" if seed else "host-h" for seed in taken["seed"]]
    assert list(taken["mlflow_run_id"].fillna("")) == ["run-elsewhere" if seed else "" for seed in taken["seed"]]


def test_a_report_that_adds_no_trial_or_is_of_another_edition_is_refused(folder: Path, tmp_path: Path) -> None:
    begun, part = in_two_parts(folder, tmp_path, part="0")
    with pytest.raises(AssertionError, match=r"has no trial that .* lacks"):
        rendered(begun, tmp_path / "again", sweeps=tmp_path, further=[part])
    provenance = json.loads((part / "provenance.json").read_text())
    (part / "provenance.json").write_text(json.dumps({**provenance, "edition": 1}))
    with pytest.raises(AssertionError, match="another edition"):
        rendered(begun, tmp_path / "again", sweeps=tmp_path, further=[part])


def in_two_parts(folder: Path, tmp_path: Path, *, part: str) -> tuple[Path, Path]:
    """Reports of the same records: of the whole sweep, of which only seed 0 is done, and of the seeds ``part``."""
    sweep = tmp_path / f"{folder.name}.yaml"
    plan, rest = (build_plan(load_sweep(sweep, seeds=seeds)) for seeds in (None, part))
    known = CommittedResults(folder).records(plan)
    empty = {trial.fingerprint: TrialRecord(fingerprint=trial.fingerprint) for trial in plan.trials if trial.recipe.seed}
    folders = (tmp_path / "begun" / folder.name, tmp_path / "part" / folder.name)
    write_report_folder(folders[0], plan, {**known, **empty}, reported_sweep.registries())
    write_report_folder(folders[1], rest, known, reported_sweep.registries())
    return folders


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_folder"], "no_such_folder: not a folder that is made again"),
        (["--with", "folder"], "--with needs the NAME of one folder"),
        (["a", "b", "--with", "folder"], "--with needs the NAME of one folder"),
    ],
)
def test_a_name_that_is_no_committed_folder_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        rerender(arguments)
    assert refused.value.code and message in capsys.readouterr().err


def stale_files(
    folder: Path,
    again: Path,
    *,
    sweeps: Path = ROOT / "sweeps",
    committed: Path | None = None,
    further: Sequence[Path] = (),
) -> list[str]:
    """The files of a folder that are not what the code makes, in ``again``, of the records behind it, or behind other folders."""
    made = {path.name: path for path in rendered(committed or folder, again, sweeps=sweeps, further=further)}
    there = {path.name: path for path in folder.iterdir()}
    return sorted(
        name for name in {*made, *there} if name not in made or name not in there or not _alike(made[name], there[name])
    )


def _alike(made: Path, committed: Path) -> bool:
    """Texts by their bytes, tables by their values; pictures differ from one machine's fonts to another's."""
    if made.suffix == ".parquet":
        return _equal(pd.read_parquet(made), pd.read_parquet(committed))
    return made.suffix == ".png" or made.read_bytes() == committed.read_bytes()


def _equal(made: pd.DataFrame, committed: pd.DataFrame) -> bool:
    """Every committed column is made again with its type, in whatever order, equal but for the last digits of an interval that was taken
    apart and put together again. A column that came later regenerates nothing; one that vanished differs."""
    if not set(committed) <= set(made):
        return False
    try:
        pd.testing.assert_frame_equal(made[list(committed)], committed, rtol=1e-9)
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
        table = read_export(FIRST_EDITION[0], name)
        table.drop(columns="unit", errors="ignore").rename(columns=today).to_parquet(tmp_path / f"{name}.parquet")
        before = read_export(tmp_path, name)
        assert set(before) == set(table) - {"unit"}
        texts = [each[list(before)].astype("string").fillna("") for each in (before, table)]
        pd.testing.assert_frame_equal(*texts)
