"""The table in all its forms."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from orchestrator.plan import Plan
from orchestrator.report.aggregate import aggregate
from orchestrator.report.table import FORMATS, render
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries

ASKED_FOR = """
algorithm variant dataset way shot order published published_ci95 article_2018 reproduced ci95_episodes std_seeds seeds_done
seeds_wanted difference verdict differs trials
"""


def table(plan: Plan, form: str, correct: dict[int, list[int]]) -> str:
    return render(aggregate(plan, records_of(plan, correct), registries()), form, spec=plan.spec)


def test_the_text_table_is_readable(tmp_path: Path) -> None:
    text = table(plan_of(tmp_path), "text", {0: [74, 75], 1: [74]})
    lines = text.splitlines()
    assert lines[0] == "Reported & checked_100%"
    row = next(line for line in lines if line.lstrip().startswith("5 "))
    assert row.split()[:9] == ["5", "1", "98.8", "98.2", "99.00", "±", "0.02", "0.47", "2/3"]
    assert max(map(len, lines)) <= 120


def test_missing_numbers_are_dashes_empty_or_null(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    row = next(line for line in table(plan, "text", {}).splitlines() if line.lstrip().startswith("5 "))
    assert row.split()[4:8] == ["–", "–", "0/3", "–"]
    line = next(csv.DictReader(io.StringIO(table(plan, "csv", {}))))
    assert (line["reproduced"], line["ci95_episodes"], line["order"], line["published_ci95"]) == ("", "", "", "")
    cell = json.loads(table(plan, "json", {}))["cells"][0]
    assert (cell["reproduced"], cell["order"], cell["seeds_done"]) == (None, None, 0)


def test_csv_and_json_have_a_row_a_cell_and_every_column(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    lines = list(csv.DictReader(io.StringIO(table(plan, "csv", {0: [74]}))))
    cells = json.loads(table(plan, "json", {0: [74]}))["cells"]
    assert len(lines) == len(cells) == 2
    assert set(ASKED_FOR.split()) <= set(lines[0]) == set(cells[0])
    assert float(lines[0]["reproduced"]) == cells[0]["reproduced"] == pytest.approx(100 * 74 / 75, abs=1e-6)


def test_latex_escapes_what_latex_would_read(tmp_path: Path) -> None:
    text = table(plan_of(tmp_path), "latex", {0: [74]})
    assert r"Reported \& checked\_100\%" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert r"98.67 $\pm$ 0.00" in text


def test_a_caption_is_made_of_whole_sentences(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    plan = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, short=True))
    caption = next(line for line in table(plan, "latex", {0: [74]}).splitlines() if line.startswith(r"\caption"))
    assert ".." not in caption and "confirm or refute them. Published: " in caption


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_what_differs_is_said_in_every_form(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path, set_values=["train_query=7"])
    text = table(plan, form, {0: [74]}).replace("\\_", "_")
    assert "train_query 7, published 5" in " ".join(text.split())
    assert "not comparable" in text
    assert "--set train_query=7" in text  # an overridden sweep says so
    for machine in ("csv", "json"):
        assert "train_query 7, published 5" in table(plan, machine, {0: [74]})


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_table_is_a_function_of_its_records(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path)
    assert table(plan, form, {0: [74]}) == table(plan, form, {0: [74]}) != table(plan, form, {0: [73]})
