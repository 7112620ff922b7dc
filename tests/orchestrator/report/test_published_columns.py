"""Published numbers in columns: any number of registries, in the sweep's order, each with the number of the nearest protocol."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RegistryError
from orchestrator.report.cells_figure import cells_figure
from orchestrator.report.export import frames
from orchestrator.report.json_keys import PUBLISHED_KEYS
from orchestrator.report.published import Registries, load_registries
from orchestrator.report.published_columns import MOST_COLUMNS, published_columns, registries_of
from orchestrator.report.table import render
from orchestrator.report.table_rows import CellRow, table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries
from tests.orchestrator.report.written_report import write_report_folder

NAMES = ("anna_2020", "bert_2021", "carl_2022", "dora_2023", "emil_2024")
ACCURACIES = {"anna_2020": 91.1, "bert_2021": 92.2, "carl_2022": 93.3, "dora_2023": 94.4, "emil_2024": 95.5}
KINDS = ("paper", "authors_code", "independent", "independent", "independent")


def registry(name: str, kind: str = "paper", **cell: object) -> dict[str, object]:
    plain = {
        "table": "Table 1",
        "algorithm": "prototypical",
        "dataset": "omniglot",
        "way": 5,
        "shot": 1,
        "accuracy": ACCURACIES[name],
    }
    first, year = name.split("_")
    return {
        "id": name, "title": name, "label": f"{first.title()} {year}", "kind": kind, "source": f"arXiv of {first}", "protocols": {},
        "cells": [{**plain, **cell}, {**plain, "way": 20, **cell}],
    }  # fmt: skip


def folder_of(folder: Path, count: int) -> Registries:
    """The first names' registries: the second has an interval, the third a deviation over seeds."""
    more: Sequence[dict[str, object]] = ({}, {"ci95": 0.4, "episodes": 600}, {"std_seeds": 0.7, "seeds": 3}, {}, {})
    (folder / "published").mkdir()
    other = {**registry(NAMES[0], algorithm="pixels"), "id": "other", "label": "Other"}
    (folder / "published" / "other.yaml").write_text(yaml.safe_dump(other))
    for name, kind, cell in list(zip(NAMES, KINDS, more, strict=True))[:count]:
        (folder / "published" / f"{name}.yaml").write_text(yaml.safe_dump(registry(name, kind, **cell)))
    return load_registries(folder / "published")


def swept(folder: Path, count: int) -> tuple[Plan, tuple[CellRow, ...]]:
    known = folder_of(folder, count)
    plan = plan_of(folder, TWO_CELLS.format(published=", ".join(["other", *NAMES[:count]])))
    return plan, table_rows(plan, records_of(plan, {0: [74, 75], 1: [74]}), known)


TWO_CELLS = """
name: reported
title: Columns
published: [{published}]
seeds: [0, 1, 2]
fixed: {{dataset: omniglot, split: vinyals, train_way: 60, evaluation_episodes: 1000}}
grid: {{way: [5, 20], shot: [1]}}
"""
COUNTS = pytest.mark.parametrize("count", [0, 1, 2, 5])
PRINTED = ("91.1", "92.2 ± 0.4", "93.3 (sd 0.7)", "94.4", "95.5")


@COUNTS
def test_text_and_markdown_have_columns_for_the_first_two(tmp_path: Path, count: int) -> None:
    plan, rows = swept(tmp_path, count)
    for form in ("text", "md"):
        text = render(rows, form, spec=plan.spec)
        table, said = text.split("Accuracy in percent")
        others = "also published: 93.3 (sd 0.7) (Carl 2022), 94.4 (Dora 2023), 95.5 (Emil 2024)"
        heading = next(line for line in text.splitlines() if "reproduced" in line)
        labels = [label for label in ("Anna 2020", "Bert 2021", "Carl 2022", "Dora 2023", "Emil 2024") if label in heading]
        assert labels == ["Anna 2020", "Bert 2021"][:count]
        assert [number in table for number in PRINTED] == [index < min(count, 2) for index in range(5)]
        assert ("diff." in heading) == (count > 0)
        assert ("Numbers of 3 more: table.json" in " ".join(text.split())) == (count == 5 and form == "text")
        assert (others in said) == (count == 5 and form == "md"), "every form but text has all"
        assert said
    assert max(map(len, render(rows, "text", spec=plan.spec).splitlines())) <= 100


@COUNTS
def test_latex_shows_two_and_names_the_others(tmp_path: Path, count: int) -> None:
    plan, rows = swept(tmp_path, count)
    text = render(rows, "latex", spec=plan.spec)
    printed = [number.replace("±", r"$\pm$") in text for number in PRINTED]
    assert printed == [index < count for index in range(5)]
    [columns] = re.findall(r"begin\{tabular\}\{@\{\}(r+)p", text)
    assert len(columns) == 2 + min(count, 2) + 2 + (count > 0)
    lines = [line for line in text.splitlines() if line.endswith(r"\tabularnewline") and " & " in line]
    assert {line.count(" & ") for line in lines} == {len(columns)}
    assert ("also published: 93.3 (sd 0.7) (Carl 2022), 94.4 (Dora 2023), 95.5 (Emil 2024)" in text) == (count == 5)


@COUNTS
def test_json_csv_and_exports_have_them_all_in_order(tmp_path: Path, count: int) -> None:
    plan, rows = swept(tmp_path, count)
    cells = json.loads(render(rows, "json", spec=plan.spec))["cells"]
    for cell in cells:
        assert [number["registry"] for number in cell["published"]] == list(NAMES[:count])
        assert all(set(number) == set(PUBLISHED_KEYS) for number in cell["published"])
        assert cell["compared_with"] == (NAMES[0] if count else None)
    line = next(csv.DictReader(io.StringIO(render(rows, "csv", spec=plan.spec))))
    assert [line[f"published_{name}"] for name in NAMES[:count]] == [str(ACCURACIES[name]) for name in NAMES[:count]]
    assert not [key for key in line if "other" in key] and sum(key.startswith("published_") for key in line) == 4 * count
    exported = frames(plan, {}, rows)["published"]
    assert list(exported["registry"]) == list(NAMES[:count]) * 2
    assert list(exported["is_compared"]) == [index == 0 for index in range(count)] * 2
    if count >= 3:
        assert (line["published_bert_2021_ci95"], line["published_carl_2022_std_seeds"]) == ("0.4", "0.7")
        keys = ("kind", "ci95", "std_seeds", "seeds", "episodes")
        kinds = [tuple(number[key] for key in keys) for number in cells[0]["published"]]
        assert kinds[:3] == [
            ("paper", None, None, None, None), ("authors_code", 0.4, None, None, 600), ("independent", None, 0.7, 3, None),
        ]  # fmt: skip


@COUNTS
def test_the_report_and_its_figure_handle_any_number_of_registries(tmp_path: Path, count: int) -> None:
    plan, rows = swept(tmp_path, count)
    fewer = tuple(dataclasses.replace(row, published=row.published[:-1]) for row in rows)
    assert cells_figure(rows, tmp_path / "all.png", title="t").read_bytes().startswith(b"\x89PNG")
    cells_figure(fewer, tmp_path / "fewer.png", title="t")
    assert ((tmp_path / "all.png").read_bytes() == (tmp_path / "fewer.png").read_bytes()) == (count == 0)
    if count == 5:
        names = {path.name for path in write_report_folder(tmp_path / "out", plan, {}, load_registries(tmp_path / "published"))}
        assert {"published.parquet", "table.tex", "cells.png"} <= names


def test_the_difference_and_the_verdict_are_against_the_first_that_has_a_number(tmp_path: Path) -> None:
    known = folder_of(tmp_path, 2)
    few = dataclasses.replace(known, cells={**known.cells, "anna_2020": known.cells["anna_2020"][:1]})  # 5-way alone
    plan = plan_of(tmp_path, TWO_CELLS.format(published="anna_2020, bert_2021"))
    rows = table_rows(plan, records_of(plan, {0: [74]}), few)
    assert [row.compared and row.compared.registry for row in rows] == ["anna_2020", "bert_2021"]
    for row, accuracy in zip(rows, (91.1, 92.2), strict=True):
        assert row.reproduced is not None and row.difference == pytest.approx(row.reproduced - accuracy)
    lines = [line.split() for line in render(rows, "text", spec=plan.spec).splitlines()]
    assert next(line for line in lines if line[:1] == ["20"])[2:6] == ["–", "92.2", "±", "0.4"]


def test_a_number_other_than_the_first_is_described(tmp_path: Path) -> None:
    """Snell's Table 4 has the number of a training on 20 ways; Table 1 prints another first."""
    plan = plan_of(tmp_path, set_values=["train_way=20", "train_query=15", "train_shot=1"])
    rows = table_rows(plan, {}, registries())
    assert [number.choice for row in rows for number in row.published] == [
        "Table 4 with train_way 20, train_query 15, train_shot 1, the nearest of its 7 numbers for such a cell"
    ] * 2
    for form in ("text", "md", "latex"):
        assert "Snell 2017: Table 4 with" in " ".join(render(rows, form, spec=plan.spec).split())
    obvious = table_rows(plan_of(tmp_path), {}, registries())
    assert [number.choice for row in obvious for number in row.published] == [None, None]


def test_vinyals_number_is_shown_with_that_of_another_class_split(tmp_path: Path) -> None:
    """The text's cosine with full context embeddings: its paper's numbers were masked by the order of the registries."""
    text = """
name: reported
title: Both
published: [snell_2017, vinyals_2016, finn_2017]
seeds: [0]
fixed: {preset: paper, algorithm: matching, distance: cosine, fce: true, dataset: mini_imagenet, way: 5}
grid: {shot: [1, 5]}
"""
    rows = table_rows(plan_of(tmp_path, text), {}, registries())
    assert [[(number.registry, number.accuracy) for number in row.published] for row in rows] == [
        [("snell_2017", 43.56), ("vinyals_2016", 44.2)], [("snell_2017", 55.31), ("vinyals_2016", 57.0)],
    ]  # fmt: skip


def test_two_registries_cannot_share_a_label(tmp_path: Path) -> None:
    for name in NAMES[:2]:
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**registry(name), "label": "Same"}))
    with pytest.raises(RegistryError, match=r"bert_2021\.yaml:\d+: label: 'Same' is the label of anna_2020 already"):
        load_registries(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> CellRow:
    """A row with a number of each registry, to take some away from."""
    return swept(tmp_path_factory.mktemp("template"), 5)[1][0]


patterns = st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=6)


@given(patterns=patterns, order=st.permutations(NAMES))
def test_whatever_registries_have_numbers_two_columns_show_what_verdicts_are_against(
    template: CellRow, patterns: list[set[str]], order: list[str]
) -> None:
    by_name = {number.registry: number for number in template.published}
    rows = [dataclasses.replace(template, published=tuple(by_name[name] for name in order if name in here)) for here in patterns]
    columns = published_columns(rows, order)
    assert len(columns.headings) == min(MOST_COLUMNS, max(map(len, patterns)) if columns.letters else len(set().union(*patterns)))
    for index, row in enumerate(rows):
        shown = [number for number in columns.shown[index] if number is not None]
        assert row.compared is None or row.compared in shown
        assert [number for number in row.published if number in shown] == shown  # in the sweep's order
        texts = columns.texts(index)
        assert len(texts) == len(columns.headings)
        for number, text, heading in zip(columns.shown[index], texts, columns.headings, strict=True):
            whose = columns.letters.get(number.registry) if number else None
            assert number is None or heading == number.label or text == f"{number.printed} {whose}"
    assert len(set(columns.letters.values())) == len(columns.letters)
    assert list(registries_of(rows, order)) == [name for name in order if any(name in here for here in patterns)]


WIDEST = """
name: reported
title: Two intervals, and letters
published: [vinyals_2016, snell_2017, finn_2017, finn_code, chen_2019]
seeds: [0, 1, 2]
fixed: {preset: paper, dataset: mini_imagenet, way: 5}
grid: {algorithm: [prototypical, maml], order: {values: [2], when: {algorithm: maml}}, shot: [1, 5]}
include: [{algorithm: matching, distance: cosine, shot: 1, fce: true}]
"""
TEXT_WIDTH_PT, CHARACTER_PT, LETTER_PT, GAP_PT, VERDICT_PT = 345, 4.25, 4, 4, 57
"""The width of an article's text; of a figure in footnote size, and of a raised letter; between columns; of the column of verdicts."""


@pytest.mark.parametrize(("done", "spread", "verdict"), [(1, None, "reproduced, provisional"), (3, 0.61, "not comparable")])
def test_two_columns_with_intervals_and_letters_fit_the_page_and_the_terminal(
    tmp_path: Path, done: int, spread: float | None, verdict: str
) -> None:
    plan = plan_of(tmp_path, WIDEST)
    ours = {"reproduced": 48.87, "ci95_episodes": 0.84, "std_seeds": spread, "seeds_done": done, "difference": -1.25}
    said = {"verdict": verdict, "verdict_label": verdict, "verdict_reasons": (), "unlike": False, "differs": (), "doubt": None}
    rows = [dataclasses.replace(row, **ours, **said) for row in table_rows(plan, {}, registries())]  # type: ignore[arg-type]
    text, latex = (render(rows, form, spec=plan.spec) for form in ("text", "latex"))
    assert "48.70 ± 1.84 c  46.40 ± 1.83 d  48.87 ± 0.84" in text
    assert max(map(len, text.splitlines())) <= 100
    lines = [line.removesuffix(r" \tabularnewline").split(" & ") for line in latex.splitlines() if line.count(" & ") == 7]
    columns = list(zip(*(line[:-1] for line in lines), strict=True))
    plain = [[re.sub(r"\$.*?\$", "±", re.sub(r"\\textsuperscript\{.\}", "", cell)) for cell in column] for column in columns]
    widths = sum(max(map(len, column)) for column in plain) * CHARACTER_PT + 2 * LETTER_PT
    assert len(lines) == 1 + 5 and r"\setlength{\tabcolsep}{2pt}" in latex and "p{20mm}" in latex
    assert widths + len(columns) * GAP_PT + VERDICT_PT <= TEXT_WIDTH_PT
