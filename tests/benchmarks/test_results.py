"""What the benchmark writes follows from the turns that were taken; nothing here is timed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS, main
from benchmarks.contenders import BASELINE, CONTENDERS, OURS, contenders_of
from benchmarks.duel import duel
from benchmarks.measurements import Rounds, measure_steps
from benchmarks.result_page import write_page
from benchmarks.score import Score, quartiles, score_rows
from benchmarks.timed_process import ContenderError, TimedProcess, Turn
from benchmarks.workloads import WORKLOADS
from tests.test_import_boundaries import ROOT, SOURCES, imported

WORKLOAD = WORKLOADS["matching_omniglot_1_shot"]
ABSENT = replace(CONTENDERS["easyfsl"], needs="no_such_package", kinds=("matching",))


def score(name: str, *turns: tuple[float, ...]) -> Score:
    return Score(contender=CONTENDERS[name], turns=[Turn(milliseconds=turn, peak_mb=max(turn)) for turn in turns])


def test_ratios_are_those_of_rounds_and_not_of_steps() -> None:
    ours, peer = score("ours", (10, 10, 10, 40), (20,)), score("style_2018", (20, 30, 40), (60,), (900,))
    row = list(score_rows(WORKLOAD, [ours, peer]))[1]
    assert (row["steps"], row["rounds"], row["peak_mb"]) == (5, 3, 900)
    assert row["beside_ours"] == quartiles([3.0]), "30 / 10 and 60 / 20; ours had no third round"
    assert row["beside_baseline"] is None


def test_quartiles_of_steps() -> None:
    spread = quartiles([1, 2, 3, 4, 100])
    assert (spread.low, spread.median, spread.high) == (2, 3, 4)


def test_a_peer_that_is_not_installed_is_absent_and_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measurements.chosen", lambda workload, names: (ABSENT,))
    measure_steps(tmp_path, Rounds(count=1, seconds=0, threads=1), [WORKLOAD], [])
    [row] = json.loads((tmp_path / f"steps_{WORKLOAD.name}.json").read_text())["rows"]
    assert row["milliseconds"] is None
    assert "| easyfsl | no_such_package is not installed | – |" in write_page(tmp_path).read_text()


def test_ours_and_the_baseline_take_turns_in_processes_of_their_own() -> None:
    lines: list[str] = []
    scores = duel(WORKLOAD, (OURS, BASELINE), rounds=1, seconds=0, notice=lines.append)
    assert [len(score.milliseconds) for score in scores] == [1, 1]
    assert [score.absent for score in scores] == [None, None]
    assert lines == [f"{WORKLOAD.name}: round 1 of 1"]


def test_each_part_of_the_command_writes_its_document_and_the_page_shows_it(tmp_path: Path) -> None:
    workload, axis = "matching_omniglot_1_shot", "way"
    turn = ["--rounds", "1", "--seconds", "0", "--results", str(tmp_path)]
    main(["roofline", "steps", "profile", "--workload", workload, "--contender", "ours", "--contender", "baseline", *turn])
    main(["scaling", "--axis", axis, *turn])
    documents = {path.stem: json.loads(path.read_text())["rows"] for path in tmp_path.glob("*.json")}
    assert set(documents) == {"roofline", f"steps_{workload}", f"profile_{workload}", f"scaling_{axis}"}
    assert all(documents.values()), "no part is without rows"
    page = (tmp_path / "README.md").read_text()
    assert page.count("\n## ") == len(PARTS)


def test_a_contender_that_fails_says_why() -> None:
    with pytest.raises(ContenderError, match="no_such_module"):
        TimedProcess(replace(ABSENT, module="peers.no_such_module"), WORKLOAD, threads=1)


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=lambda workload: workload.name)
def test_every_workload_has_ours_the_baseline_and_a_peer_with_and_without_our_allocator(workload) -> None:
    names = [contender.name for contender in contenders_of(workload)]
    assert names[:2] == ["ours", "baseline"]
    plain = [name for name in names[2:] if "+malloc" not in name and "float64" not in name]
    assert plain
    assert {f"{name}+malloc" for name in plain} <= set(names)


def test_the_packages_know_nothing_of_the_benchmarks() -> None:
    assert "fsl_core/training/trial.py" in SOURCES
    imports = {name.partition(".")[0] for path in SOURCES for _, name in imported((ROOT / path).read_text())}
    assert "benchmarks" not in imports


def test_the_committed_page_is_written_from_the_documents_beside_it(tmp_path: Path) -> None:
    results = ROOT / "benchmarks" / "results"
    for document in results.glob("*.json"):
        (tmp_path / document.name).write_text(document.read_text())
    assert write_page(tmp_path).read_text() == (results / "README.md").read_text(), "python -m benchmarks writes it again"
