"""Where a value of a sweep stands, for the errors about it."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import SweepFileError


@dataclass(frozen=True)
class Place:
    """Where a value stands, as people write it: ``sweep.yaml:7: fixed.way``, or an option of the command line."""

    text: str

    def fault(self, problem: str, *, setting: str | None = None, value: object = None) -> SweepFileError:
        """The error for a problem at this place, and the setting and the value that it is of, where it is of one."""
        return SweepFileError(f"{self.text}: {problem}", setting=setting, value=value)
