"""A bundle is written again exactly where something that it is made from has changed, or one of its files."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.report import unchanged_report
from orchestrator.report.drawing import Notice
from orchestrator.report.unchanged_report import reuse_or_write, source_digest
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries


class Bundle:
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
    bundle = Bundle(tmp_path)
    assert bundle.ask("one") == bundle.ask("one") == bundle.files
    assert bundle.times == 1


def test_another_source_is_written(tmp_path: Path):
    bundle = Bundle(tmp_path)
    bundle.ask("one")
    bundle.ask("two")
    assert bundle.times == 2


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("edited")])
def test_a_file_that_is_gone_or_edited_is_written_again(tmp_path: Path, change: Callable[[Path], object]):
    bundle = Bundle(tmp_path)
    bundle.ask("one")
    change(bundle.files[1])
    bundle.ask("one")
    assert bundle.files[1].read_text() == "cells.png, written"


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"made_from": "one", "files": 3}', '{"made_from": "one"}'])
def test_a_note_that_says_nothing_is_no_reason_to_keep(tmp_path: Path, note: str):
    (tmp_path / "note.json").write_text(note)
    bundle = Bundle(tmp_path)
    bundle.ask("one")
    assert bundle.times == 1


def test_what_was_left_out_is_tried_again(tmp_path: Path):
    bundle, said = Bundle(tmp_path, missing="cells.png was not drawn"), list[str]()
    bundle.ask("one", said.append)
    bundle.ask("one", said.append)
    assert said == ["cells.png was not drawn"] * 2


def test_everything_that_it_is_made_from_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan, numbers = plan_of(tmp_path), registries()
    records = records_of(plan, {0: [74]})
    fingerprint = next(iter(records))
    edited = {**records, fingerprint: dataclasses.replace(records[fingerprint], result=None)}
    titled = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, title="Another"))
    sources = {
        source_digest(tmp_path, plan, records, numbers, {}),
        source_digest(tmp_path / "elsewhere", plan, records, numbers, {}),
        source_digest(tmp_path, titled, records, numbers, {}),
        source_digest(tmp_path, plan, edited, numbers, {}),
        source_digest(tmp_path, plan, records, dataclasses.replace(numbers, cells={}), {}),
        source_digest(tmp_path, plan, records, numbers, {fingerprint: "a run"}),
    }
    monkeypatch.setattr(unchanged_report, "code_digest", lambda: "other code")
    sources.add(source_digest(tmp_path, plan, records, numbers, {}))
    assert len(sources) == 7


def test_the_same_values_are_the_same_source(tmp_path: Path):
    first, second = (
        source_digest(tmp_path, plan_of(tmp_path), records_of(plan_of(tmp_path), {0: [74]}), registries(), {}) for _ in "12"
    )
    assert first == second
