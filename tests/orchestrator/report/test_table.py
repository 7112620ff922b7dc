"""The table in all its forms."""

import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.report.json_keys import CELL_KEYS, DOCUMENT_KEYS, NUMBERS_OF_REGISTRY, SCHEMA_VERSION, TABULAR
from orchestrator.report.latex import escaped
from orchestrator.report.table import FORMATS, render
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import SWEEP, diverged, plan_of, records_of, registries

ASKED_FOR = """
cell evaluation algorithm variant dataset way shot maml_order published compared_with reproduced ci95_episodes std_seeds
seeds_done seeds_wanted difference verdict differs trials
"""


def table(plan: Plan, form: str, correct: dict[int, list[int]]) -> str:
    return render(table_rows(plan, records_of(plan, correct), registries()), form, spec=plan.spec)


def test_the_text_table_is_readable(tmp_path: Path) -> None:
    text = table(plan_of(tmp_path), "text", {0: [74, 75], 1: [74]})
    lines = text.splitlines()
    assert lines[0] == "Reported & checked_100%"
    row = next(line for line in lines if line.lstrip().startswith("5 "))
    assert row.split()[:8] == ["5", "1", "98.8", "99.00", "±", "0.02", "0.47", "(2/3)"]
    assert max(map(len, lines)) <= 100


def test_missing_numbers_are_dashes_empty_or_null(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    row = next(line for line in table(plan, "text", {}).splitlines() if line.lstrip().startswith("5 "))
    assert row.split()[3:6] == ["–", "0/3", "–"]
    line = next(csv.DictReader(io.StringIO(table(plan, "csv", {}))))
    assert (line["reproduced"], line["ci95_episodes"], line["maml_order"], line["published_snell_2017_ci95"]) == ("", "", "", "")
    cell = json.loads(table(plan, "json", {}))["cells"][0]
    assert (cell["reproduced"], cell["maml_order"], cell["seeds_done"]) == (None, None, 0)


def test_csv_and_json_have_a_row_a_cell_and_every_column(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    lines = list(csv.DictReader(io.StringIO(table(plan, "csv", {0: [74]}))))
    document = json.loads(table(plan, "json", {0: [74]}))
    cells = document["cells"]
    assert len(lines) == len(cells) == 2
    assert set(ASKED_FOR.split()) <= set(cells[0]) == set(CELL_KEYS) and set(document) == set(DOCUMENT_KEYS)
    theirs = [f"published_snell_2017{ending}" for ending in NUMBERS_OF_REGISTRY]
    columns = [[TABULAR.get(key, key)] if key != "published" else theirs for key in cells[0]]
    assert list(lines[0]) == [column for each in columns for column in each]
    assert document["schema_version"] == SCHEMA_VERSION
    assert lines[0]["trial_ids"].split(" ") == [f"t-{fingerprint}" for fingerprint in cells[0]["trials"]]
    assert (lines[0]["cell_id"], lines[0]["evaluation_id"]) == (f"c-{cells[0]['cell']}", f"e-{cells[0]['evaluation']}")
    assert float(lines[0]["reproduced"]) == cells[0]["reproduced"] == pytest.approx(100 * 74 / 75, abs=1e-6)


def test_latex_escapes_special_characters(tmp_path: Path) -> None:
    text = table(plan_of(tmp_path), "latex", {0: [74]})
    assert r"Reported \& checked\_100\%" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert r"98.67 $\pm$ 0.00" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("--set way=5", r"-{}-set way=5"),
        ("a---b", r"a-{}-{}-b"),
        ("1–2 –-", r"1--2 --{}-"),
        ("a < b > c | d", r"a \textless{} b \textgreater{} c \textbar{} d"),
        ('say "x"', r"say \texttt{\char34}x\texttt{\char34}"),
        ("''a`` ?`", "'{}'a`{}` ?{}`"),
        ("5-way", "5-way"),
    ],
)
def test_latex_shows_text_letter_by_letter(text: str, written: str) -> None:
    assert escaped(text) == written


def test_diverged_seeds_are_reported_with_every_verdict(tmp_path: Path) -> None:
    """Whatever the verdict is called: not comparable, a short run, or reproduced."""
    for changes, word in ((["train_query=7"], "not comparable"), (["steps=200"], "short run"), ([], "inconclusive")):
        plan = plan_of(tmp_path, set_values=changes)
        lost = next(trial for trial in plan.trials if trial.recipe.seed == 2)
        records = {**records_of(plan, {0: [74], 1: [73]}), lost.fingerprint: diverged(lost.recipe)}
        text = " ".join(render(table_rows(plan, records, registries()), "text", spec=plan.spec).split())
        assert word in text and "1 of 3 seeds diverged" in text


def test_a_caption_has_whole_sentences(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    plan = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, short=True))
    caption = next(line for line in table(plan, "latex", {0: [74]}).splitlines() if r"\caption" in line)
    assert ".." not in caption and "confirm or refute them. Published: " in caption


@pytest.mark.parametrize("form", ["text", "md", "latex"])
def test_differences_are_in_every_format(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path, set_values=["train_query=7"])
    text = table(plan, form, {0: [74]}).replace("\\_", "_").replace("-{}-", "--")
    assert "train_query 7, published 5" in " ".join(text.split())
    assert "not comparable" in text
    assert "--set train_query=7" in text  # an overridden sweep says so
    for machine in ("csv", "json"):
        assert "train_query 7, published 5" in table(plan, machine, {0: [74]})


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_table_is_a_function_of_its_records(tmp_path: Path, form: str) -> None:
    plan = plan_of(tmp_path)
    assert table(plan, form, {0: [74]}) == table(plan, form, {0: [74]}) != table(plan, form, {0: [73]})


SEEDS = {0: [74, 75], 1: [70], 2: [75]}
LONG = """
name: reported
title: Many cells
published: [snell_2017]
seeds: [0, 1, 2]
fixed: {dataset: omniglot, split: vinyals, retrain: true}
grid: {way: [5, 20], shot: [1, 5], outer_lr: [0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009], patience: [500, null]}
"""
TEXT_WIDTH_PT, CHARACTER_PT, GAP_PT, VERDICT_PT = 345, 4.25, 6, 74
"""The width of an article's text; of a figure in footnote size; between two columns; of the column of verdicts."""


@pytest.mark.parametrize("text", [SWEEP, LONG])
def test_latex_fits_the_text_of_a_page(tmp_path: Path, text: str) -> None:
    """The sum of the columns' longest entries: it was twice as wide as the page."""
    lines = table(plan_of(tmp_path, text), "latex", SEEDS).splitlines()
    rows = [line.removesuffix(r" \tabularnewline").split(" & ") for line in lines if line.count(" & ") == 6]
    assert len(rows) > 2
    columns = zip(*(row[:-1] for row in rows), strict=True)
    widest = [max(len(re.sub(r"\$\\pm\$|\$[+-]\$", "±", cell)) for cell in column) for column in columns]
    assert sum(widest) * CHARACTER_PT + len(widest) * GAP_PT + VERDICT_PT <= TEXT_WIDTH_PT


@pytest.mark.parametrize("text", [SWEEP, LONG])
def test_latex_can_be_referred_to(tmp_path: Path, text: str) -> None:
    latex = table(plan_of(tmp_path, text), "latex", SEEDS)
    assert latex.index(r"\caption{") < latex.index(r"\label{tab:reported}")
    assert (
        (r"\centering" in latex) == (r"\begin{table}" in latex) != (r"\begin{longtable}" in latex)
    )  # the latter is centred by itself


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine (Debian: texlive-latex-recommended)")
@pytest.mark.parametrize("text", [SWEEP, LONG])
def test_latex_compiles_without_an_overfull_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.tex").write_text(table(plan_of(tmp_path, text), "latex", SEEDS))
    article = (
        r"\documentclass{article}",
        r"\usepackage{booktabs,longtable}",
        r"\begin{document}",
        r"\input{table}",
        r"\end{document}",
    )
    (tmp_path / "article.tex").write_text("\n".join(article))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="latin-1")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout and "too large" not in done.stdout
