"""Every error that fsl_core raises on purpose.

FslError
├── RecipeError          a recipe, an evaluation or one of their settings is impossible (also a ValueError)
│   └── SettingError         one setting has an impossible value, alone or beside others; carries both as data
├── EpisodeError         an episode cannot be sampled from these classes (also a ValueError)
├── DataError
│   ├── DataMissingError     the files are missing and cannot be downloaded
│   ├── DataCorruptError     the files are damaged, incomplete or unsafe
│   └── DataChangedError     the images are not those that a trial was trained on so far
├── CheckpointError
│   ├── CheckpointCorruptError   a checkpoint was modified after it was written
│   ├── CheckpointEditionError   a checkpoint is of another edition of the recipes
│   ├── CheckpointFormatError    a checkpoint is of an earlier form of the training's state
│   └── ExecutionPathError       a checkpoint is pinned to a device or setting that this machine lacks
├── PluginError          an installed plug-in cannot be loaded, or is not what its entry point says
├── RecordDamagedError   a record was modified, or has not the type that its location requires
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
    """A setting has an impossible value, alone or beside other settings.

    Args:
        setting: the field to correct, as its path in the value under construction: ``steps``, ``validation.shape.way``.
        value: the value of the field.
        problem: why it is rejected, and what would be accepted.
        beside: the other fields involved; correcting one of them helps as well.
        give: fields and values that would solve the problem.
    """

    def __init__(
        self, setting: str, value: object, problem: str, beside: tuple[str, ...] = (), give: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(setting, value, problem, beside, give)  # all arguments, so that the error survives pickling
        self.setting, self.value, self.problem = setting, value, problem
        self.beside, self.give = beside, dict(give or {})

    def __str__(self) -> str:
        give = ", ".join(f"{name}: {written(value)}" for name, value in self.give.items())
        has = "not given" if self.value is None else quoted(self.value)
        return f"{self.setting} is {has}; {self.problem}{f'; give {give}' if give else ''}"

    def renamed(self, name: Callable[[str], str]) -> SettingError:
        """The same error with its settings renamed."""
        give = {name(setting): value for setting, value in self.give.items()}
        return SettingError(name(self.setting), self.value, self.problem, tuple(map(name, self.beside)), give)


@contextmanager
def within(part: str) -> Iterator[None]:
    """Make setting errors inside the block name their settings as fields of ``part``."""
    try:
        yield
    except SettingError as error:
        raise error.renamed(lambda setting: f"{part}.{setting}") from error


class EpisodeError(FslError, ValueError):
    """An episode of the requested shape cannot be sampled from these classes."""


class DataError(FslError):
    """A data set cannot be used."""


class DataMissingError(DataError):
    """The data set's files are absent and could not be downloaded."""


class DataCorruptError(DataError):
    """The data set's files are damaged, incomplete or unsafe."""


class DataChangedError(DataError):
    """The images are not those that a trial was trained on so far."""


class CheckpointError(FslError):
    """A checkpoint cannot be used."""


class CheckpointCorruptError(CheckpointError):
    """A checkpoint was modified after it was written."""


class CheckpointEditionError(CheckpointError):
    """A checkpoint is intact but of another edition of the recipes: this version cannot resume from it."""


class CheckpointFormatError(CheckpointError):
    """A checkpoint is intact but has an earlier format of the training state: this version cannot resume from it."""


class ExecutionPathError(CheckpointError):
    """A checkpoint is pinned to an execution path that this machine cannot offer."""


class PluginError(FslError):
    """An installed plug-in cannot be loaded, or is not what its entry point says."""


class RecordDamagedError(FslError):
    """A record was modified or has not the type that its location requires; readers treat it as missing."""


class StopRequested(FslError):
    """The caller asked a running trial to stop; its progress is saved in its checkpoint."""
