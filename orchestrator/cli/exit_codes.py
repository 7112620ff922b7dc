"""What ``fsl`` exits with, and how an error becomes one message and one of these codes."""

from __future__ import annotations

import os
import tempfile
import traceback
from enum import IntEnum
from typing import Any

import click

from fsl_core.errors import FslError, StopRequested
from orchestrator.errors import ExecutorError, OrchestratorError, SweepLockedError
from orchestrator.process.environment import settle
from orchestrator.process.terminal import spell_anything
from orchestrator.sweep.folder import REFUSALS
from orchestrator.sweep.tracking_address import without_password


class ExitCode(IntEnum):
    """The exit codes of every command."""

    COMPLETE = 0
    INTERNAL = 1
    USAGE = 2
    TRIAL_FAILED = 3
    INCOMPLETE = 4
    LOCKED = 5


class Failure(click.ClickException):
    """An error as the user sees it: a message on stderr and an exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(without_password(message))
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has it as a constant of the class
        """What the process exits with."""
        return int(self.code)


class ErrorMappingGroup(click.Group):
    """A command group whose commands may raise any error of the two packages: none ends in a traceback on the terminal."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See :meth:`click.Command.main`; help and errors, too, are printed on whatever terminal there is."""
        spell_anything()
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and turn what it raises into :class:`Failure`."""
        try:
            settle()
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _without_password(error) from error
        except click.ClickException:
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (KeyboardInterrupt, StopRequested) as error:
            raise Failure("interrupted; the same command resumes", ExitCode.INCOMPLETE) from error
        except SweepLockedError as error:
            raise Failure(str(error), ExitCode.LOCKED) from error
        except ExecutorError as error:
            raise Failure(str(error), ExitCode.INCOMPLETE) from error
        except (FslError, OrchestratorError) as error:
            raise Failure(str(error), ExitCode.USAGE) from error
        except OSError as error:
            if error.errno not in REFUSALS:
                raise Failure(_internal_error(error), ExitCode.INTERNAL) from error
            raise Failure(f"{error.strerror}: {error.filename or 'a file'}", ExitCode.USAGE) from error
        except Exception as error:
            raise Failure(_internal_error(error), ExitCode.INTERNAL) from error


def _without_password(error: click.UsageError) -> click.UsageError:
    """The same error, which may repeat what was typed."""
    return click.UsageError(without_password(error.format_message()), error.ctx)


def _internal_error(error: Exception) -> str:
    text = "".join(traceback.format_exception(error))
    summary = f"internal error, {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if os.environ.get("FSL_DEBUG") == "1":
        return f"{summary}\n{text}"
    return f"{summary} ({_kept(without_password(text))}FSL_DEBUG=1 shows it here)"


def _kept(traceback_text: str) -> str:
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="fsl-traceback-", suffix=".txt", delete=False) as file:
            file.write(traceback_text.encode("utf-8", "backslashreplace"))
    except OSError:
        return ""  # a full disk may be what it is about
    return f"traceback in {file.name}; "
