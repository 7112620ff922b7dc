"""Everything that fsl_core raises on purpose.

FslError
├── RecipeError          a recipe, an evaluation or one of their settings is impossible (also a ValueError)
│   └── SettingError         one setting has a value that is impossible, alone or beside others; both are carried as data
├── EpisodeError         an episode cannot be drawn from the classes at hand (also a ValueError)
├── DataError
│   ├── DataMissingError     the files are not there and cannot be fetched
│   ├── DataCorruptError     the files are there and are not what they should be
│   └── DataChangedError     a half-trained trial saw other images than those found now
├── CheckpointError
│   ├── CheckpointCorruptError   a checkpoint's bytes are not those that were written
│   ├── CheckpointEditionError   a checkpoint is of another edition of the recipes
│   ├── CheckpointFormatError    a checkpoint is of an earlier form of the training's state
│   └── ExecutionPathError       a checkpoint is pinned to a device or setting that this machine lacks
├── PluginError          an installed plug-in cannot be loaded, or is not what its entry point says
├── RecordDamagedError   a record is not what was written, or is not what its place asks for
└── StopRequested        the caller asked a running trial to stop; its checkpoint is written
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from fsl_core.written import quoted, written


class FslError(Exception):
    """Root of the errors that this library raises on purpose."""


class RecipeError(FslError, ValueError):
    """A recipe, an evaluation or one of their settings is impossible."""


class SettingError(RecipeError):
    """A setting has a value that is impossible, alone or beside other settings.

    Args:
        setting: the field to mend, as its path in the value that was being made: ``steps``, ``validation.shape.way``.
        value: what the field has.
        problem: what is wrong with that, and what would be accepted.
        beside: the fields that the problem lies between, besides ``setting``; the mending of one of them helps as well.
        give: fields and values with which there would be no problem.
    """

    def __init__(
        self, setting: str, value: object, problem: str, beside: tuple[str, ...] = (), give: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(setting, value, problem, beside, give)  # all of them, so that the error survives pickling
        self.setting, self.value, self.problem = setting, value, problem
        self.beside, self.give = beside, dict(give or {})

    def __str__(self) -> str:
        give = ", ".join(f"{name}: {written(value)}" for name, value in self.give.items())
        has = "not given" if self.value is None else quoted(self.value)
        return f"{self.setting} is {has}; {self.problem}{f'; give {give}' if give else ''}"

    def renamed(self, name: Callable[[str], str]) -> SettingError:
        """The same error with other names for its settings."""
        give = {name(setting): value for setting, value in self.give.items()}
        return SettingError(name(self.setting), self.value, self.problem, tuple(map(name, self.beside)), give)


@contextmanager
def within(part: str) -> Iterator[None]:
    """Errors of settings that are raised inside name them as fields of ``part``."""
    try:
        yield
    except SettingError as error:
        raise error.renamed(lambda setting: f"{part}.{setting}") from error


class EpisodeError(FslError, ValueError):
    """An episode of the wanted shape cannot be drawn from the classes at hand."""


class DataError(FslError):
    """A data set cannot be used."""


class DataMissingError(DataError):
    """The data set's files are absent and could not be fetched."""


class DataCorruptError(DataError):
    """The data set's files are damaged, incomplete or unsafe."""


class DataChangedError(DataError):
    """A trial's checkpoint was trained on images other than those found now."""


class CheckpointError(FslError):
    """A checkpoint cannot be used."""


class CheckpointCorruptError(CheckpointError):
    """A checkpoint's bytes are not those that were written."""


class CheckpointEditionError(CheckpointError):
    """A checkpoint is whole, and of another edition of the recipes: no training of today can resume from it."""


class CheckpointFormatError(CheckpointError):
    """A checkpoint is whole, and holds an earlier form of the training's state: no training of today can resume from it."""


class ExecutionPathError(CheckpointError):
    """A checkpoint is pinned to an execution path that this machine cannot offer."""


class PluginError(FslError):
    """An installed plug-in cannot be loaded, or is not what its entry point says."""


class RecordDamagedError(FslError):
    """A record is not what was written, or not of the type that its place asks for; whoever reads it takes it as missing."""


class StopRequested(FslError):
    """The caller asked a running trial to stop; everything up to now is in its checkpoint."""
