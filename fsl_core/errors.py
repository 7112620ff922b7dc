"""Everything that fsl_core raises on purpose.

FslError
├── RecipeError          a recipe, an evaluation or one of their settings is impossible (also a ValueError)
├── EpisodeError         an episode cannot be drawn from the classes at hand (also a ValueError)
├── DataError
│   ├── DataMissingError     the files are not there and cannot be fetched
│   ├── DataCorruptError     the files are there and are not what they should be
│   └── DataChangedError     a half-trained trial saw other images than those found now
├── CheckpointError
│   ├── CheckpointCorruptError   a checkpoint's bytes are not those that were written
│   └── ExecutionPathError       a checkpoint is pinned to a device or setting that this machine lacks
└── StopRequested        the caller asked a running trial to stop; its checkpoint is written
"""


class FslError(Exception):
    """Root of the errors that this library raises on purpose."""


class RecipeError(FslError, ValueError):
    """A recipe, an evaluation or one of their settings is impossible."""


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


class ExecutionPathError(CheckpointError):
    """A checkpoint is pinned to an execution path that this machine cannot offer."""


class StopRequested(FslError):
    """The caller asked a running trial to stop; everything up to now is in its checkpoint."""
