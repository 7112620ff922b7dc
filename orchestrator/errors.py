"""Everything that the orchestrator raises on purpose; ``cli/`` alone turns these into exit codes.

OrchestratorError
├── SweepFileError       a sweep file or an override of it is wrong (exit 2)
│   └── UnknownSweepError  no sweep has the name that was given (exit 2)
├── RegistryError        a file of published numbers is wrong (exit 2)
├── ExportError          a folder of exports is not one, or lacks what is asked of it (exit 2)
├── ComparisonError      no two rows can be compared as asked (exit 2)
├── SweepNameError       two sweep files share one name (exit 2)
├── StoreError           the runs folder cannot be read or written
├── FolderError          a folder that was named cannot be used (exit 2)
├── SweepLockedError     another run holds this sweep (exit 5)
├── CodeDiffersError     a worker runs other code than the driver
├── ExecutorError        what runs the trials does not start here and now (exit 4)
├── InheritedError       the process was started in a way that would falsify results (exit 2)
└── TrackingError        the tracking server refused or did not answer
"""


class OrchestratorError(Exception):
    """Root of the errors that the orchestrator raises on purpose."""


class SweepFileError(OrchestratorError):
    """A sweep file, or an override of it, is wrong; the message says where and what would be accepted.

    Args:
        message: the place and the problem.
        setting: the key that is wrong, where it is a setting's.
        value: what that key has.
    """

    def __init__(self, message: str, *, setting: str | None = None, value: object = None) -> None:
        super().__init__(message)
        self.setting, self.value = setting, value


class UnknownSweepError(SweepFileError):
    """No sweep has the name that was given; the message lists the names that exist."""


class RegistryError(OrchestratorError):
    """A file of published numbers is wrong."""


class ExportError(OrchestratorError):
    """A folder that is to hold exports does not, or lacks what is asked of it."""


class ComparisonError(OrchestratorError):
    """No two rows can be compared as asked; the message says which rows there are."""


class SweepNameError(OrchestratorError):
    """Two sweep files that mean different sweeps share one name."""


class StoreError(OrchestratorError):
    """The runs folder cannot be read or written."""


class FolderError(OrchestratorError):
    """A folder that an option, a variable or a sweep file names cannot be used; the message says which of them, and why.

    Args:
        problem: why.
        named: the option, the variable or the key that names the folder, where one does.
    """

    def __init__(self, problem: str, *, named: str | None = None) -> None:
        super().__init__(f"{named}: {problem}" if named else problem)
        self.problem, self.named = problem, named


class SweepLockedError(OrchestratorError):
    """Another run holds this sweep."""


class CodeDiffersError(OrchestratorError):
    """A worker runs other code than the driver, so that its results would be recorded under the wrong code."""


class ExecutorError(OrchestratorError):
    """What runs the trials does not start here and now; nothing is lost."""


class InheritedError(OrchestratorError):
    """The process was started in a way that would falsify results; the message says what to unset."""


class TrackingError(OrchestratorError):
    """The tracking server refused or did not answer."""
