"""Records of a trial's execution, progress and failure: facts that may differ between two runs of the same work.

Reading a record checks that its writer could have written it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from fsl_core.checks import one_of, truth
from fsl_core.errors import RecipeError
from fsl_core.plain_values import count, fraction, member, not_negative, number, text, time_with_zone
from fsl_core.training.result import MOST_STEPS

_MOST_SECONDS = 1e12


def _whole(value: object, key: str) -> int:
    return count(value, key, MOST_STEPS)


def _seconds(value: object, key: str) -> float:
    if not_negative(value, key) > _MOST_SECONDS:
        raise RecipeError(f"{key} is {value!r}; it must be at most {_MOST_SECONDS:g}")
    return float(cast(float, value))


def _truth(value: object, key: str) -> None:
    truth(key, value)


def _texts(values: object, key: str) -> None:
    for name, value in member({key: values}, key, dict).items():
        text(name, f"a name of {key}")
        text(value, f"{key}.{name}")


def _numbers(values: object, key: str) -> None:
    for name, value in member({key: values}, key, dict).items():
        text(name, f"a name of {key}")
        if abs(number(value, f"{key}.{name}")) > MOST_STEPS and isinstance(value, int):
            raise RecipeError(f"{key}.{name} is {value!r:.60}; an integer must fit into 64 bits")


_Check = Callable[[Any, str], object]
_CHECKS: Mapping[str, _Check] = {
    **dict.fromkeys(
        ("host", "device_name", "git_commit", "git_problem", "lock_digest", "code_digest", "cause", "traceback"), text
    ),
    **dict.fromkeys(("finished_at", "started_at", "at"), time_with_zone),
    **dict.fromkeys(("seconds", "train_seconds"), _seconds),
    **dict.fromkeys(("threads", "steps", "step", "attempts", "peak_memory_bytes"), _whole),
    "best": fraction,
    "device": lambda value, key: one_of(key, value, ("cpu", "cuda")),
    "git_dirty": _truth,
    "versions": _texts,
    "metrics": _numbers,
    "evaluations": lambda value, key: _scoring(value, key),
}
"""The check of every field, by name, as a name means the same in every record; for None only the type is checked."""


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """A record whose fields can be checked."""

    def check(self) -> None:
        """Raises RecipeError for a value that its field cannot have."""
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is not None or "None" not in str(each.type):
                _CHECKS[each.name](value, each.name)


@dataclass(frozen=True, kw_only=True)
class ComputedBy(_Checked):
    """Who computed something, on which device, with which code, and when it was done (ISO, UTC)."""

    host: str
    device: Literal["cpu", "cuda"]
    device_name: str
    threads: int
    finished_at: str
    git_commit: str | None = None
    git_dirty: bool | None = None
    git_problem: str | None = None
    lock_digest: str | None = None
    code_digest: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    peak_memory_bytes: int | None = None

    def check(self) -> None:
        """Raises RecipeError for a value that its field cannot have."""
        super().check()
        if self.threads < 1:
            raise RecipeError(f"threads is {self.threads}; it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ScoringRecord(ComputedBy):
    """The execution of one evaluation, in ``seconds`` of wall clock."""

    seconds: float


def _scoring(values: object, key: str) -> None:
    for name, value in member({key: values}, key, dict).items():
        text(name, f"a name of {key}")
        if not isinstance(value, ScoringRecord):
            raise RecipeError(f"{key}.{name} is {value!r:.60}; it must be the record of an evaluation")


@dataclass(frozen=True, kw_only=True)
class ExecutionRecord(ComputedBy):
    """The execution of a training, with its wall-clock seconds summed over attempts, and of each evaluation, by fingerprint."""

    train_seconds: float
    steps: int
    attempts: int
    started_at: str
    evaluations: Mapping[str, ScoringRecord] = field(default_factory=dict)

    @property
    def evaluation_seconds(self) -> float | None:
        """Seconds of all evaluations together; None before the first."""
        return sum(each.seconds for each in self.evaluations.values()) if self.evaluations else None


@dataclass(frozen=True, kw_only=True)
class FailureRecord(_Checked):
    """The last failure of a trial: the error in one line, its traceback, the attempts so far and the time (ISO, UTC)."""

    cause: str
    traceback: str
    attempts: int
    at: str


@dataclass(frozen=True, kw_only=True)
class ProgressRecord(_Checked):
    """The progress of a trial at its last checkpoint. ``best``: the meta-validation accuracy, in 0..1, of the weights selected so far."""

    step: int
    steps: int
    best: float | None
    train_seconds: float
    attempts: int
    started_at: str
    at: str
    metrics: Mapping[str, float] = field(default_factory=dict)


Record = TypeVar("Record", bound=_Checked)


def record_from_plain(kind: type[Record], plain: Mapping[str, Any]) -> Record:
    """Read a record from its plain form. Raises RecipeError if a key, a type or a range does not fit the record."""
    values = dict(plain)
    if kind is ExecutionRecord and "evaluations" in values:
        scores = member(values, "evaluations", dict)
        values["evaluations"] = {name: record_from_plain(ScoringRecord, member(scores, name, dict)) for name in scores}
    try:
        record = kind(**values)
    except TypeError as error:  # a missing or surplus key
        raise RecipeError(f"not a {kind.__name__}: {error}") from error
    record.check()
    return record


def attempts_recorded(*records: ProgressRecord | FailureRecord | ExecutionRecord | None) -> int:
    """The number of attempts at a training: the largest in its records, as some may be lost."""
    return max((known.attempts for known in records if known is not None), default=0)
