"""The table of trials in a live view, in the width that there is: whole columns give way, and no word is broken over lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product, takewhile

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.launch.duration import duration_text
from orchestrator.launch.trial_view import TrialView

STYLES = {
    "running": "cyan",
    "scoring": "cyan",
    "done": "green",
    "failed": "red",
    "diverged": "yellow",
    "waiting": "dim",
    "stopped": "yellow",
}
_GAP = 2
_STATE, _BAR, _VALIDATION, _LEFT = 8, 18, 10, 11
_PART = " · "
_SHORT_NAME = 16
"""A name shorter than this says less than the validation accuracy does."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns are shown, and the width of the trial's name and of its steps."""

    name: int
    step: int
    bar: bool = True
    left: bool = True
    validation: bool = True

    @staticmethod
    def fitting(width: int, *, name: int, step: int) -> Columns:
        """The columns for a terminal of this width: the bar gives way first, then the time, then the name is shortened."""
        name = max(1, name)  # a column has a character at least
        choices = (
            Columns(name=name, step=step),
            Columns(name=name, step=step, bar=False),
            Columns(name=name, step=step, bar=False, left=False),
            Columns(name=_SHORT_NAME, step=step, bar=False, left=False),
            Columns(name=1, step=step, bar=False, left=False, validation=False),
        )
        chosen = next((columns for columns in choices if columns.width <= width), choices[-1])
        room = width - (chosen.width - chosen.name)
        return Columns(name=max(1, min(name, room)), step=step, bar=chosen.bar, left=chosen.left, validation=chosen.validation)

    @property
    def width(self) -> int:
        """How wide the table is."""
        shown = ((self.bar, _BAR), (self.validation, _VALIDATION), (self.left, _LEFT))
        return self.name + sum(_GAP + each for each in (_STATE, self.step, *(width for there, width in shown if there)))


def trial_table(shown: Sequence[TrialView], names: tuple[str, ...], *, width: int, now: float) -> Table:
    """The table of some trials. ``names`` are those of all trials of the sweep, which keep their looks when others are shown."""
    steps = max((len(_steps(view)) for view in shown), default=0)
    columns = Columns.fitting(width, name=max(map(len, names), default=0), step=max(steps, len("step")))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
    table.add_column("trial", no_wrap=True, width=columns.name)
    for heading, size, there in (
        ("state", _STATE, True),
        ("step", columns.step, True),
        ("", _BAR, columns.bar),
        ("validation", _VALIDATION, columns.validation),
        ("left", _LEFT, columns.left),
    ):
        if there:
            table.add_column(heading, justify="left" if heading in ("state", "") else "right", no_wrap=True, width=size)
    short = shortened(names, columns.name)
    for view in shown:
        table.add_row(*_row(view, short[view.name], columns, now))
    return table


def _row(view: TrialView, name: str, columns: Columns, now: float) -> list[Text | ProgressBar]:
    left = view.seconds_left(now)
    accuracy = "" if view.accuracy is None else f"{100 * view.accuracy:.2f} %"
    bar = ProgressBar(total=max(view.steps, 1), completed=_completed(view), width=_BAR)
    cells: list[tuple[bool, Text | ProgressBar]] = [
        (True, Text(name)),
        (True, Text(view.state, style=STYLES[view.state])),
        (True, Text(_steps(view))),
        (columns.bar, bar),
        (columns.validation, Text(accuracy)),
        (columns.left, Text("" if left is None else duration_text(left))),
    ]
    return [cell for there, cell in cells if there]


def _steps(view: TrialView) -> str:
    return f"{view.step}/{view.steps}"


def _completed(view: TrialView) -> int:
    """Patience may have ended a training before its budget; an untrained network has a budget of no steps."""
    return max(view.steps, 1) if view.state in ("scoring", "done") else view.step


@lru_cache(maxsize=8)
def shortened(names: tuple[str, ...], width: int) -> dict[str, str]:
    """Each name in this many characters at most; no two look alike where any one place to cut allows it.

    Where one does not fit, the parts that all share go first, then the words; of what is still too long the middle is left out, up
    to the beginning of a word where that tells them apart: the end of a number is another number.
    """
    forms = [dict(zip(names, form, strict=True)) for form in (names, *_briefer(names)) if len(set(form)) == len(set(names))]
    brief = next((form for form in forms if max(map(len, form.values()), default=0) <= width), forms[-1])
    middle = (width - 1) / 2
    for cut, head in product((_cut_to_a_word, _cut), sorted(range(width), key=lambda head: abs(head - middle))):
        short = {name: cut(text, head, width) for name, text in brief.items()}
        if len(set(short.values())) == len(short):
            return short
    return {name: _cut(text, round(middle), width) for name, text in brief.items()}


def _briefer(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The names without the parts, then also without the first words of parts, that all have in common; the first part stays."""
    if len(names) < 2:
        return []
    every = [name.split(_PART) for name in names]
    common = set.intersection(*(set(parts[1:]) for parts in every))
    every = [[parts[0], *(part for part in parts[1:] if part not in common)] for parts in every]
    forms = [tuple(map(_PART.join, every))]
    if len({len(parts) for parts in every}) == 1:
        first, *columns = zip(*every, strict=True)
        forms.append(tuple(_PART.join(filter(None, parts)) for parts in zip(first, *map(_without_shared, columns), strict=True)))
    return forms


def _without_shared(column: Sequence[str]) -> list[str]:
    words = [part.split() for part in column]
    return [" ".join(each[_shared(words) :]) for each in words]


def _shared(column: Sequence[Sequence[str]]) -> int:
    """How many first words all have in common."""
    return len(list(takewhile(lambda words: len(set(words)) == 1, zip(*column, strict=False))))


def _cut_to_a_word(name: str, head: int, width: int) -> str:
    """The name without its middle, cut near ``head``; what follows the gap begins a word, if the last word fits."""
    tail = len(name) - (width - 1 - head)
    starts = [at for at in range(len(name) - width + 1, len(name)) if at > 0 and " " in name[at - 1 : at + 1]]
    start = next((at for at in starts if at >= tail), starts[-1] if starts else tail)
    return _cut(name, width - 1 - (len(name) - start), width)


def _cut(name: str, head: int, width: int) -> str:
    return name if len(name) <= width else f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
