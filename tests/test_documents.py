"""What the documents and the committed results say is so: tables follow from the exports beside them, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.report.published import load_registries
from orchestrator.sweep.loader import load_sweep
from tests.committed_records import COMMITTED, FIRST_EDITION, ROOT, read_export
from tests.exports_document import PATH
from tests.exports_document import document as exports_page
from tests.rerender_results import SHOWN_TABLE
from tests.settings_document import PATH as SETTINGS
from tests.settings_document import document as settings_page

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_readme_shows_a_committed_table() -> None:
    """The first table of the README is a file of ``results/``, letter by letter."""
    shown = SHOWN_TABLE.findall((ROOT / "README.md").read_text())
    assert shown, "no table in the README"
    for source, _, table in shown:
        assert table == (ROOT / source).read_text().strip(), f"README.md does not show {source} as it is"


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_a_committed_number_follows_from_the_committed_episodes(folder: Path) -> None:
    """Each reproduced number is the mean over seeds of the episodes' accuracies, and each trial behind it has its provenance."""
    episodes = read_export(folder, "episodes")
    known = json.loads((folder / "provenance.json").read_text())["trials"]
    compared = 0
    for row in json.loads((folder / "table.json").read_text())["cells"]:
        scores = episodes[
            episodes["trial_id"].isin(row["trials"]) & (episodes["way"] == row["way"]) & (episodes["shot"] == row["shot"])
        ]
        seeds = scores.groupby("trial_id")["accuracy_percent"].mean()
        assert len(seeds) == row["seeds_done"]
        assert set(seeds.index) <= set(known)
        if row["seeds_done"]:
            assert row["reproduced"] == pytest.approx(seeds.mean(), abs=1e-5)
            compared += 1
    assert compared


def test_the_page_about_exports_is_written_from_their_columns() -> None:
    assert PATH.read_text(encoding="utf-8") == exports_page(), "python -m tests.exports_document writes it again"


def test_the_page_of_the_settings_is_what_their_fields_say():
    assert SETTINGS.read_text(encoding="utf-8") == settings_page(), "python -m tests.settings_document writes it again"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_an_accuracy_in_a_document_stands_in_a_committed_table(document: Path) -> None:
    """Each "97.6 %" is, rounded alike, a reproduced or a published number of some table under ``results/``.

    What only the first edition reproduced stands in a section that says "first edition".
    """
    today, first = _accuracies(COMMITTED, "published", "article_2018"), _accuracies(FIRST_EDITION, "reproduced")
    today |= _accuracies([folder for folder in COMMITTED if folder not in FIRST_EDITION], "reproduced")
    for section in re.split(r"^#+ ", document.read_text(), flags=re.MULTILINE):
        said = set(re.findall(r"(\d+\.\d) %", section))
        assert said <= (today | first if "first edition" in section.lower() else today), section.splitlines()[0]


def _accuracies(folders: Iterable[Path], *columns: str) -> set[str]:
    rows = [row for folder in folders for row in json.loads((folder / "table.json").read_text())["cells"]]
    return {f"{number:.1f}" for row in rows for column in columns for number in _numbers(row.get(column))}


def _numbers(value: Any) -> list[float]:
    """One number, none, or those of the published columns."""
    if isinstance(value, list):
        return [each["accuracy"] for each in value]
    return [] if value is None else [value]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_table_of_the_first_edition_is_called_so(document: Path) -> None:
    for section in re.split(r"^#+ ", document.read_text(), flags=re.MULTILINE):
        if "results/first_edition/" in section:
            assert "first edition" in section.lower(), section.splitlines()[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    """Every relative link and picture is there."""
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert not missing


def test_the_example_of_the_library_runs(tmp_path: Path) -> None:
    """The README's last Python block, with fewer steps, in a folder of its own and with nothing but what it imports."""
    *_, example = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    shorter = example.replace("steps=200", "steps=50")
    assert shorter != example
    done = subprocess.run(
        [sys.executable, "-c", shorter], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+\.\d\d ± \d\.\d\d %", done.stdout.strip().splitlines()[-1])


def test_the_example_of_a_sweep_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
    example, *_ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "my_table.yaml").write_text(example, encoding="utf-8")
    cells = load_sweep(tmp_path / "my_table.yaml").cells
    assert [(cell.algorithm, cell.way, cell.shot, cell.order) for cell in cells] == [
        *(("prototypical", way, shot, None) for way in (5, 20) for shot in (1, 5)),
        *(("maml", 5, shot, order) for shot in (1, 5) for order in (1, 2)),
        ("matching", 5, 1, None),
    ]


def test_the_example_of_a_registry_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reproducing.md").read_text(encoding="utf-8")
    _, example, *_ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(example, encoding="utf-8")
    [cell] = load_registries(tmp_path).cells["mine"]
    assert (cell.accuracy, cell.ci95, cell.episodes, cell.settings["train_shot"]) == (98.8, 0.1, 1000, 1)


def test_the_documented_shot_can_be_added_word_by_word(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "reproducing.md").read_text().split("## Add a shot to a sweep")[1].split("\n## ")[0]
    text = (ROOT / "sweeps" / "quick.yaml").read_text()
    for hunk in re.findall(r"```diff\n(.*?)```", section, re.DOTALL):
        lines = hunk.splitlines()
        old, new = (f"{chr(10).join(line[1:] for line in lines if line[:1] in ('', ' ', sign))}\n" for sign in "-+")
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "my_quick.yaml"
    path.write_text(text)
    cells = load_sweep(path).cells
    assert f"shows {len(cells)} cells" in section
    assert [(cell.algorithm, cell.way, cell.order) for cell in cells if cell.shot == 10] == [
        ("prototypical", 5, None), ("prototypical", 20, None), ("maml", 5, 1), ("maml", 5, 2),
    ]  # fmt: skip
