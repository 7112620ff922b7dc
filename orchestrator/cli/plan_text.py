"""A plan for people: what it will take, then its cells, then totals; the trials one by one where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from fsl_core.recipe.data_settings import DataSettings
from orchestrator.api.planning import PlannedSweep
from orchestrator.cli.text_layout import aligned, size_text
from orchestrator.counted import counted
from orchestrator.launch.cost import OTHER_CODE_RANGE, PROBE_RANGE, TRIALS_RANGE
from orchestrator.launch.duration import duration_text, range_text
from orchestrator.launch.forecast import RAY_START, Forecast, StartUp
from orchestrator.launch.images import images_text, prepare_command
from orchestrator.launch.path_choices import CHOOSING, COMPILING, PathChoice
from orchestrator.launch.probing import ENOUGH_SECONDS
from orchestrator.launch.span import Span
from orchestrator.launch.workspace import Workspace
from orchestrator.report.reach import Reach
from orchestrator.sweep.shipped import source_text

MOST_LINES = 100
"""Cells beyond so many are counted, not listed, unless the trials are asked for as well."""


MOST_REACHES = 20
"""Cells that cannot be reproduced, of which there may be many, are counted beyond so many."""


def plan_text(planned: PlannedSweep, *, trials: bool = False) -> str:
    """The plan; ``trials`` adds a line for each trial."""
    workspace, expected = planned.workspace, planned.forecast
    parts = [
        workspace.plan.spec.title,
        _answer_paragraph(expected, planned.unprepared),
        _cells_text(workspace, expected, all_of_them=trials),
        *_reach_texts(planned.reach),
    ]
    return "\n\n".join([*parts, *([_trials_text(workspace, expected)] if trials else []), _totals_text(workspace, expected)])


def answer_text(expected: Forecast) -> str:
    """How long the rest takes, such as ``about 54 days, 35 to 80, for 126 trials, 2 at a time``."""
    left, unknown = len(expected.left), expected.unknown
    trials = f"{counted(left, 'trial')}, {min(expected.slots, max(left, 1))} at a time"
    if expected.all_unknown:
        return f"an unknown time, for {trials}"
    if unknown:
        return f"more than {range_text(expected.known_seconds)}, for {trials}, {unknown:,} of them of unknown cost"
    return f"{range_text(expected.known_seconds)}, for {trials}"


def _answer_paragraph(expected: Forecast, unprepared: Sequence[DataSettings]) -> str:
    if not expected.left:
        return "nothing is left to do"
    return "\n  ".join([f"{answer_text(expected)}, {_where(expected)}", *_notes(expected), *map(_image_note, unprepared)])


def _where(expected: Forecast) -> str:
    """Where the trials run; of a GPU it is said whose times are counted, for a processor's never are."""
    machine, compute = expected.machine, expected.compute
    threads = f", {compute.threads} threads each" if compute.threads > 1 else ""
    if machine.device == "cpu":
        return f"on {'the cluster, each as fast as on this machine' if expected.on_cluster else 'this machine'}{threads}"
    each = f"{threads}, {compute.gpus:g} of one for each" if compute.gpus < 1 else f"{threads}, {compute.gpus:g} for each"
    if expected.on_cluster:
        alike = f", each as fast as this machine's ({machine.device_name})" if machine.device_name else ""
        return f"on the cluster's GPUs{alike}{each}"
    whose = f"this machine's GPU ({machine.device_name})" if machine.device_name else "a GPU, which this machine does not have"
    return f"on {whose}{each}"


def _notes(expected: Forecast) -> Iterator[str]:
    """What the answer is made of, and what is not in it."""
    ranges = _ranges({prediction.left_basis for prediction in expected.left.values()})
    if ranges:
        yield f"the range: {', or '.join(ranges)}; to the end of each budget, or where another seed ended"
        yield f"counted: training, validation, evaluation; start-up, {_start_text(expected.start)}"
        yield from _choice_notes(list(expected.choices.values()))
    if (earliest := expected.earliest_seconds) is not None:
        yield f"patience may end trials sooner: about {duration_text(earliest)} if all end as soon as they can"
    if 0 < expected.compute.gpus < 1 < expected.slots:
        yield "not counted: trials that share a GPU slow each other down"
    if busy := sum(prediction.left_basis == "busy probe" for prediction in expected.left.values()):
        yield f"timed while this machine was busy: steps of {counted(busy, 'trial')}; the next `fsl plan` times them again once it is quiet"
        if expected.start == RAY_START and not expected.on_cluster:
            yield "while this machine is busy: under Ray other programs come first, so that a sweep takes longer than this"
    for basis in ("trials of other code", "probes of other code"):
        if other := sum(prediction.left_basis == basis for prediction in expected.left.values()):
            yield f"from {basis}: steps of {counted(other, 'trial')}; those of this code were not timed"
    if expected.unknown and expected.machine.device_name is None:
        yield "unknown: what never ran on a GPU of the trials in this runs folder; this machine has none to time it on"
    elif expected.unknown:
        yield f"unknown: what never ran here and was not timed; each `fsl plan` times what it can in {ENOUGH_SECONDS:.0f} s"


def _ranges(sources: Set[str]) -> list[str]:
    """The range that each source of a prediction has, in words."""
    ranges = []
    if sources & {"probe", "remembered probe", "busy probe"}:
        ranges.append(f"{PROBE_RANGE['low']:g} to {PROBE_RANGE['high']:g} times what single steps took when they were timed")
    if "earlier trials" in sources:
        ranges.append(f"{TRIALS_RANGE['low']:g} to {TRIALS_RANGE['high']:g} times what the steps of earlier trials took")
    if of_other := [source for source in ("trials of other code", "probes of other code") if source in sources]:
        ends = f"{OTHER_CODE_RANGE['low']:g} to {OTHER_CODE_RANGE['high']:g}"
        ranges.append(f"{ends} times what steps took in {' and '.join(of_other)}")
    return ranges


def _choice_notes(choices: Sequence[PathChoice]) -> Iterator[str]:
    """How the choice of execution paths is counted, and the compilation of steps."""
    chosen, compiled = sum(each.chooses for each in choices), sum(each.compiles for each in choices)
    if chosen:
        yield f"counted: choosing an execution path, {counted(chosen, 'time')}, {_seconds_text(CHOOSING)} each"
    if compiled:
        yield f"counted: compiling a training step, {counted(compiled, 'time')}, {_seconds_text(COMPILING)} each"
        yield "not counted: compiled steps may take half as long"


def _seconds_text(span: Span) -> str:
    return f"{span.low:g} to {span.high:g} s"


def _start_text(start: StartUp) -> str:
    return f"{_seconds_text(start.launch)} and for each trial {_seconds_text(start.trial)}"


def _image_note(data: DataSettings) -> str:
    return (
        f"not counted: the images of {images_text(data)} are not prepared yet; `{prepare_command(data)}` or `fsl run` does that"
    )


def _spelt(span: Span | None) -> str:
    return "unknown" if span is None else f"about {duration_text(span.likely)}"


def _cells_text(workspace: Workspace, expected: Forecast, *, all_of_them: bool) -> str:
    rows = [("cell", "preset", "seeds done", "a seed")]
    cells = workspace.plan.cells if all_of_them else workspace.plan.cells[:MOST_LINES]
    for cell in cells:
        names = [recipe.fingerprint for recipe in cell.recipes]
        done = f"{sum(name in expected.done for name in names)}/{len(names)}"
        rows.append((cell.name, cell.settings.preset or "–", done, _spelt(expected.predictions[names[-1]].whole)))
    more = len(workspace.plan.cells) - len(cells)
    return aligned(rows) + (f"\n… and {counted(more, 'more cell')}; --trials lists all" if more else "")


def _reach_texts(reach: Sequence[Reach]) -> Iterator[str]:
    """The cells that cannot be reproduced, and those that can hardly be."""
    never, unlikely = [each for each in reach if each.never], [each for each in reach if each.unlikely]
    if never:
        said = f"{counted(len(never), 'cell')} can never be `reproduced`"
        yield f"{said}: the test episodes, theirs and ours, leave more open than the margin"
        yield _reach_table(never)
    if unlikely:
        said = f"{counted(len(unlikely), 'cell')} will hardly be `reproduced` with these seeds"
        yield f"{said}: trainings as far apart as other sources measured leave more open than the margin"
        yield _reach_table(unlikely)


def _reach_table(reach: Sequence[Reach]) -> str:
    rows = [("cell", "published", "margin", "episodes at least", "and trainings")]
    for each in reach[:MOST_REACHES]:
        whole = "unknown" if each.whole is None else f"±{each.whole:.2f}"
        rows.append((each.cell, each.published, f"{each.margin:g}", f"±{each.episodes:.2f}", whole))
    more = len(reach) - MOST_REACHES
    return aligned(rows, right=(2, 3, 4)) + (f"\n… and {counted(more, 'more cell')}; --json has all" if more > 0 else "")


def _trials_text(workspace: Workspace, expected: Forecast) -> str:
    rows = [("trial", "what", "cells", "state", "takes", "by", "memory", "disk")]
    for trial in workspace.plan.trials:
        prediction = expected.predictions[trial.fingerprint]
        rows.append(
            (
                trial.fingerprint,
                trial.name,
                str(len(trial.cells)),
                workspace.state(trial),
                _spelt(prediction.whole),
                prediction.basis,
                size_text(prediction.memory_bytes),
                size_text(prediction.disk_bytes),
            )
        )
    return aligned(rows, right=(2, 6, 7))


def _totals_text(workspace: Workspace, expected: Forecast) -> str:
    left, trials = expected.left, workspace.plan.trials
    shared = sum(len(cell.recipes) for cell in workspace.plan.cells) - len(trials)
    disk = size_text(sum(prediction.disk_bytes for prediction in left.values()))
    memory = size_text(max((prediction.memory_bytes for prediction in left.values()), default=0))
    cells = counted(len(workspace.plan.cells), "cell")
    counts = f"{cells}, {counted(len(trials), 'trial')} ({shared:,} fewer than without sharing), {len(left):,} to do"
    totals = f"{counts}: {disk} of disk, up to {memory} of memory a trial" if left else counts
    return f"{totals}\n{source_text(workspace.plan.spec.file)}"
