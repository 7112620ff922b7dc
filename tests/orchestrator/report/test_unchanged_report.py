"""A report is rewritten exactly where an input or one of its files has changed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from fsl_core.listeners import Notice
from orchestrator.report import unchanged_report
from orchestrator.report.unchanged_report import reuse_or_write, source_digest
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries


class Report:
    """Two files, and how often they were written; ``missing`` is said of a picture that is left out."""

    def __init__(self, folder: Path, missing: str | None = None) -> None:
        self.files = (folder / "table.txt", folder / "cells.png")
        self.missing, self.times = missing, 0

    def write(self, notice: Notice) -> tuple[Path, ...]:
        self.times += 1
        for path in self.files:
            path.write_text(f"{path.name}, written")
        if self.missing:
            notice(self.missing)
        return self.files

    def ask(self, source: str, said: Notice = lambda text: None) -> tuple[Path, ...]:
        return reuse_or_write(self.files[0].parent / "note.json", source, self.write, said)


def test_the_same_source_is_written_once(tmp_path: Path):
    report = Report(tmp_path)
    assert report.ask("one") == report.ask("one") == report.files
    assert report.times == 1


def test_a_changed_source_is_rewritten(tmp_path: Path):
    report = Report(tmp_path)
    report.ask("one")
    report.ask("two")
    assert report.times == 2


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("edited")])
def test_a_missing_or_edited_file_is_rewritten(tmp_path: Path, change: Callable[[Path], object]):
    report = Report(tmp_path)
    report.ask("one")
    change(report.files[1])
    report.ask("one")
    assert report.files[1].read_text() == "cells.png, written"


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"made_from": "one", "files": 3}', '{"made_from": "one"}'])
def test_an_invalid_note_causes_a_rewrite(tmp_path: Path, note: str):
    (tmp_path / "note.json").write_text(note)
    report = Report(tmp_path)
    report.ask("one")
    assert report.times == 1


def test_an_omitted_file_is_retried(tmp_path: Path):
    report, said = Report(tmp_path, missing="cells.png was not drawn"), list[str]()
    report.ask("one", said.append)
    report.ask("one", said.append)
    assert said == ["cells.png was not drawn"] * 2


def test_every_input_changes_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan, numbers = plan_of(tmp_path), registries()
    records = records_of(plan, {0: [74]})
    fingerprint = next(iter(records))
    edited = {**records, fingerprint: dataclasses.replace(records[fingerprint], result=None)}
    titled = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, title="Another"))
    sources = {
        source_digest(tmp_path, plan, records, numbers),
        source_digest(tmp_path / "elsewhere", plan, records, numbers),
        source_digest(tmp_path, titled, records, numbers),
        source_digest(tmp_path, plan, edited, numbers),
        source_digest(tmp_path, plan, records, dataclasses.replace(numbers, cells={})),
    }
    monkeypatch.setattr(unchanged_report, "code_digest", lambda: "other code")
    sources.add(source_digest(tmp_path, plan, records, numbers))
    assert len(sources) == 6


def test_equal_values_have_the_same_source(tmp_path: Path):
    first, second = (
        source_digest(tmp_path, plan_of(tmp_path), records_of(plan_of(tmp_path), {0: [74]}), registries()) for _ in "12"
    )
    assert first == second
