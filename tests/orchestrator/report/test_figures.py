"""Figures show what is in the records: pixels move with the numbers, and nothing is drawn where nothing is known."""

import dataclasses
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.legend import Legend
from matplotlib.text import Text
from PIL import Image

from orchestrator.records.trial_record import TrialRecord
from orchestrator.report import adaptation_figure as adaptation_module
from orchestrator.report import cells_figure as cells_module
from orchestrator.report import curves_figure as curves_module
from orchestrator.report.canvas import Axes, Figure, wrapped
from orchestrator.report.cells_figure import cells_figure
from orchestrator.report.curves_figure import curves_figure
from orchestrator.report.episode_picture import episode_figure
from orchestrator.report.line_styles import line_style
from orchestrator.report.table_rows import table_rows
from orchestrator.sweep.plan import Plan
from tests.orchestrator.report.reported_sweep import SWEEP, finished, plan_of, records_of, registries, score
from tests.orchestrator.report.written_report import write_report_folder

ROOT = Path(__file__).parents[3]
BLUE, ORANGE, GREEN = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x00, 0x9E, 0x73)


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def inked(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(image - np.array(colour)).max(axis=2) < 8).sum())


def forest(folder: Path, correct: dict[int, list[int]]) -> np.ndarray:
    plan = plan_of(folder)
    rows = table_rows(plan, records_of(plan, correct), registries())
    return picture(cells_figure(rows, folder / "cells.png", title="cells"))


def test_the_forest_has_our_numbers_only_once_there_are_some(tmp_path: Path) -> None:
    none, some = forest(tmp_path, {}), forest(tmp_path, {0: [74, 75], 1: [70]})
    assert inked(some, BLUE) > inked(none, BLUE) > 0  # the legend's own marker
    assert inked(none, ORANGE) > 0


def test_the_forest_moves_with_the_numbers(tmp_path: Path) -> None:
    assert not np.array_equal(forest(tmp_path, {0: [74]}), forest(tmp_path, {0: [70]}))


def test_a_long_title_stays_within_the_picture(tmp_path: Path) -> None:
    rows = table_rows(plan := plan_of(tmp_path), records_of(plan, {}), registries())
    image = picture(cells_figure(rows, tmp_path / "cells.png", title="A title of very many words " * 8))
    assert (image[:, :2] == 255).all() and (image[:, -2:] == 255).all()


def test_dollar_signs_in_a_title_are_no_formula(tmp_path: Path, figures: list[Figure]) -> None:
    """An unfinished one cost the sweep all its figures."""
    plan = plan_of(tmp_path, SWEEP.replace("Reported & checked_100%", "At $5 of $x_$"))
    records = trained_alike(plan)
    cells_figure(table_rows(plan, records, registries()), tmp_path / "cells.png", title=plan.spec.title)
    curves_figure(plan, records, tmp_path / "curves.png")
    assert figures[0].get_suptitle() == "At $5 of $x_$"
    assert not figures[0].findobj(lambda part: isinstance(part, Text) and part.get_parse_math())


def test_no_two_of_many_lines_look_alike() -> None:
    """The first table with more kinds of trials than colours had two blue lines."""
    styles = [line_style(number) for number in range(28)]
    assert len(set(styles)) == 28


def test_finished_trials_have_curves(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    empty = picture(curves_figure(plan, {}, tmp_path / "none.png"))
    drawn = picture(curves_figure(plan, records_of(plan, {0: [74]}), tmp_path / "some.png"))
    assert inked(drawn, BLUE) > inked(empty, BLUE)


def test_a_panel_notes_that_no_trial_is_done(tmp_path: Path, figures: list[Figure]) -> None:
    plan = plan_of(tmp_path)
    curves_figure(plan, {}, tmp_path / "none.png")
    curves_figure(plan, records_of(plan, {0: [74]}), tmp_path / "some.png")
    empty, drawn = ([text.get_text() for axes in figure.axes for text in axes.texts] for figure in figures)
    assert set(empty) == {"no trial is done yet"} and len(drawn) < len(empty)
    assert not any(label.get_visible() and label.get_text() for axes in figures[0].axes for label in axes.get_xticklabels())


def test_an_episode_shows_every_image_in_its_place(tmp_path: Path) -> None:
    """Images that are ink all over make black tiles: as many as there are, support left of the line and query right of it."""
    support, query = np.zeros((3, 1, 1, 8, 8)), np.zeros((3, 2, 1, 8, 8))
    blank = picture(episode_figure(support, query, tmp_path / "blank.png", title="t"))
    support[1], query[2, 1] = 1, 1
    image = picture(episode_figure(support, query, tmp_path / "episode.png", title="t"))
    line = np.flatnonzero((np.abs(image - np.array(ORANGE)).max(axis=2) < 8).sum(axis=0) > 10)
    changed = np.abs(image - blank).max(axis=2) > 128
    left, right = changed[:, : line[0]], changed[:, line[-1] + 1 :]
    assert left.sum() > 100 and right.sum() > 100
    assert np.flatnonzero(left.any(axis=1)).mean() < np.flatnonzero(right.any(axis=1)).mean()  # class 1 above class 2


def test_colour_images_keep_their_colours(tmp_path: Path) -> None:
    support, query = np.zeros((2, 1, 3, 8, 8)), np.zeros((2, 1, 3, 8, 8))
    support[:, :, 1] = 1
    image = picture(episode_figure(support, query, tmp_path / "colour.png", title="t"))
    assert inked(image, (0, 255, 0)) > 100


def test_trainings_that_differ_in_one_setting_have_a_line_of_their_own(tmp_path: Path) -> None:
    """Three learning rates were once drawn as three seeds of one training."""
    text = """
name: reported
title: Learning rates
seeds: [0, 1, 2]
fixed: {dataset: omniglot, split: vinyals, way: 5, shot: 1}
grid: {outer_lr: [0.001, 0.002, 0.004]}
"""
    plan = plan_of(tmp_path, text)
    image = picture(curves_figure(plan, records_of(plan, {0: [74], 1: [74], 2: [74]}), tmp_path / "curves.png"))
    assert all(inked(image, colour) for colour in (BLUE, ORANGE, GREEN))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are written from here on, laid out as they are drawn."""
    kept: list[Figure] = []

    def keep(figure: Figure, path: Path) -> Path:
        kept.append(figure)
        FigureCanvasAgg(figure).draw()
        return path

    for module in (curves_module, cells_module, adaptation_module):
        monkeypatch.setattr(module, "write_figure", keep)
    return kept


def ticks_beyond(axes: Axes) -> set[int]:
    """Labels of ticks outside an axis' limits, which are not drawn."""
    beyond: set[int] = set()
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=False)
        beyond |= {id(label) for place, label in ticks if not low <= place <= high}
    return beyond


def assert_readable(figure: Figure) -> None:
    """No text lies over another or beyond the edge, no legend over a panel."""
    hidden = {each for axes in figure.axes for each in ticks_beyond(axes)}
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]
    boxes = [(text.get_text(), text.get_window_extent().padded(-0.5)) for text in shown]
    boxes = [(text, box) for text, box in boxes if box.width > 0 and box.height > 0]
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1, f"{text!r} is cut off"
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), f"{one!r} lies over {other!r}"
    for legend in figure.findobj(Legend):
        assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes), "a legend lies over a panel"


def trained_alike(plan: Plan) -> dict[str, TrialRecord]:
    """Invented records of every trial: losses between 1.2 and 1.9, and scores after every adaptation step."""
    records = {}
    for number, trial in enumerate(plan.trials):
        scores = []
        for evaluation in trial.evaluations:
            queries, steps = evaluation.shape.queries, evaluation.adaptation_steps
            correct = [queries // 2, queries // 3 + number % 5]
            whole = score(trial.recipe, dataclasses.replace(evaluation, adaptation_steps=None), correct)
            by_step = None if steps is None else (whole.correct,) * (steps + 1)
            scores.append(dataclasses.replace(whole, evaluation=evaluation, correct_by_step=by_step))
        record = finished(trial.recipe, scores)
        assert record.result is not None
        last = trial.recipe.steps
        curve = tuple((max(1, last * part // 4), 1.9 - 0.15 * part - 0.001 * number) for part in range(1, 5))
        curves = {"train_loss": curve, "validation_accuracy": tuple((step, loss / 2) for step, loss in curve)}
        records[trial.fingerprint] = dataclasses.replace(record, result=dataclasses.replace(record.result, curves=curves))
    return records


LONG = """
name: long
title: A title that is long enough to need more than one line above any of the figures that this sweep is drawn in, and then some
seeds: [0]
fixed: {dataset: omniglot, split: vinyals, algorithm: maml, way: 5, shot: 1, validation_adaptation_steps: 1,
        evaluation_adaptation_steps: 3}
grid: {order: [1, 2], inner_lr: [0.01, 0.1, 0.4], outer_lr: [0.001, 0.01], filters: [32, 64], meta_batch_size: [8, 32]}
"""
SWEEPS = {
    "42 cells": (ROOT / "sweeps" / "paper.yaml").read_text(),
    "one cell": SWEEP.replace("way: [5, 20]", "way: [5]"),
    "48 cells of long names": LONG,
}


@pytest.mark.parametrize("text", SWEEPS.values(), ids=SWEEPS)
def test_every_text_can_be_read_whatever_the_sweep(tmp_path: Path, figures: list[Figure], text: str) -> None:
    plan = plan_of(tmp_path, text)
    records = trained_alike(plan)
    curves_module.curves_figure(plan, records, tmp_path / "curves.png")
    adaptation_module.adaptation_figure(plan, records, tmp_path / "adaptation.png")
    cells_module.cells_figure(table_rows(plan, records, registries()), tmp_path / "cells.png", title=plan.spec.title)
    assert len(figures) >= 2
    for figure in figures:
        assert_readable(figure)


def test_panels_that_are_compared_share_their_axes_and_ticks_are_plain_numbers(tmp_path: Path, figures: list[Figure]) -> None:
    """A loss between 1.2 and 1.9 had ticks such as 1.8 × 10⁰, and each panel an accuracy axis of its own."""
    plan = plan_of(
        tmp_path, SWEEP.replace("grid: {", "grid: {algorithm: [prototypical, matching], ").replace("train_way: 60, ", "")
    )
    curves_figure(plan, trained_alike(plan), tmp_path / "curves.png")
    accuracies, losses = figures[0].axes[::2], figures[0].axes[1::2]
    for panels in (accuracies, losses):
        assert len({axes.get_ylim() for axes in panels}) == len({axes.get_xlim() for axes in panels}) == 1
    labels = [label.get_text() for axes in losses for label in axes.yaxis.get_ticklabels(which="both")]
    assert len(labels) > 4
    assert all(re.fullmatch(r"\d+(\.\d+)?|", label) for label in labels)


def test_what_is_not_comparable_is_marked_all_the_same_where_it_was_short(tmp_path: Path, figures: list[Figure]) -> None:
    plan = plan_of(tmp_path, set_values=["steps=200", "train_query=7"])
    rows = table_rows(plan, records_of(plan, {0: [74]}), registries())
    assert {row.verdict_label for row in rows} == {"not comparable"} and all(row.trained_for_less for row in rows)
    cells_figure(rows, tmp_path / "cells.png", title="cells")
    assert "white" in {line.get_markerfacecolor() for line in figures[0].axes[0].lines}


def test_a_short_training_is_marked_in_the_forest(tmp_path: Path, figures: list[Figure]) -> None:
    for short in (False, True):
        plan = plan_of(tmp_path, SWEEP + f"short: {str(short).lower()}\n")
        rows = table_rows(plan, records_of(plan, {0: [74]}), registries())
        cells_figure(rows, tmp_path / "cells.png", title="cells")
    full, hollow = ({line.get_markerfacecolor() for line in figure.axes[0].lines} for figure in figures)
    assert "white" not in full and "white" in hollow
    assert [text.get_text() for legend in figures[1].legends for text in legend.get_texts()][-1].endswith(
        "for less than published"
    )


def test_figures_carry_the_warnings_of_the_table(tmp_path: Path, figures: list[Figure]) -> None:
    plan = plan_of(tmp_path)
    changed = dataclasses.replace(plan, spec=dataclasses.replace(plan.spec, short=True, seeds_text="0"))
    write_report_folder(tmp_path / "report", changed, records_of(plan, {0: [74, 75]}), registries())
    assert len(figures) == 2
    for figure in figures:
        title = " ".join(figure.get_suptitle().split())
        assert "SHORT RUN" in title and "Not the sweep as its file has it: --seeds 0" in title


def test_a_short_training_beside_no_published_number_is_not_called_shorter_than_published(
    tmp_path: Path, figures: list[Figure]
) -> None:
    plan = plan_of(tmp_path)
    rows = table_rows(plan, records_of(plan, {0: [74, 75]}), registries())
    alone = [dataclasses.replace(row, published=(), trained_for_less=True) for row in rows]
    cells_figure(alone, tmp_path / "cells.png", title="cells")
    assert [text.get_text() for legend in figures[0].legends for text in legend.get_texts()] == [
        "reproduced, in a short training"
    ]
    assert "white" in {line.get_markerfacecolor() for line in figures[0].axes[0].lines}


def test_a_short_training_without_a_published_number_looks_no_fuller_than_those_beside_it(
    tmp_path: Path, figures: list[Figure]
) -> None:
    plan = plan_of(tmp_path, SWEEP + "short: true\n")
    first, *others = table_rows(plan, records_of(plan, {0: [74, 75]}), registries())
    cells_figure([dataclasses.replace(first, published=()), *others], tmp_path / "cells.png", title="cells")
    texts = [text.get_text() for legend in figures[0].legends for text in legend.get_texts()]
    assert "reproduced" not in texts and "reproduced, trained for less than published" in texts


def test_the_legend_of_the_curves_says_what_selects_the_step(tmp_path: Path, figures: list[Figure]) -> None:
    plan = plan_of(tmp_path)
    curves_figure(plan, records_of(plan, {0: [74, 75]}), tmp_path / "curves.png")
    legends = [axes.get_legend() for axes in figures[0].axes if axes.get_legend() is not None]
    assert legends and all("(lowest validation loss)" in legend.get_title().get_text() for legend in legends)


def test_the_legend_of_the_curves_says_which_kinds_have_none_yet(tmp_path: Path, figures: list[Figure]) -> None:
    plan = plan_of(tmp_path, SWEEP.replace("grid: {", "grid: {distance: [squared_euclidean, cosine], "))
    done, first = trained_alike(plan), plan.trials[0].kind
    others = {trial.fingerprint: done[trial.fingerprint] for trial in plan.trials if trial.kind != first}
    curves_figure(plan, others, tmp_path / "some.png")
    curves_figure(plan, done, tmp_path / "all.png")
    some, all_done = (
        [text.get_text() for axes in figure.axes if (legend := axes.get_legend()) for text in legend.get_texts()]
        for figure in figures
    )
    assert sum("(no trial is done yet)" in text for text in some) == 1 < len(some)
    assert not any("no trial" in text for text in all_done)


def test_no_line_of_a_wrapped_name_ends_or_begins_with_the_dot() -> None:
    for width in range(12, 40):
        lines = wrapped("maml order 1 · omniglot 5-way 1-shot · 1,000 steps", width).splitlines()
        assert not any(line.strip().startswith("·") or line.strip().endswith("·") for line in lines)
