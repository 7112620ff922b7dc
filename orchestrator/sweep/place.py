"""The place of a value in a sweep file or on the command line, for errors."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import SweepFileError


@dataclass(frozen=True)
class Place:
    """The place of a value as text: ``sweep.yaml:7: fixed.way``, or an option of the command line."""

    text: str

    def fault(self, problem: str, *, setting: str | None = None, value: object = None) -> SweepFileError:
        """The error for a problem at this place, with the setting and the value that it concerns, if any."""
        return SweepFileError(f"{self.text}: {problem}", setting=setting, value=value)
