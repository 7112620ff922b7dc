"""The terminal that a command inherits: it may be lost while the command runs, or be unable to spell what is printed."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import termios
import unicodedata

_PLAIN = "fsl_plain"
_ASCII = {"–": "-", "—": "-", "−": "-", "±": "+/-", "→": "->", "×": "x", "·": "|", "─": "-", "━": "-", "│": "|", "█": "#"}


def leave_lost_terminal() -> None:
    """Send stdout and stderr to nowhere if they are a terminal that was closed: each write to it would fail."""
    for descriptor in (1, 2):
        if _is_lost(descriptor):
            _lead_nowhere(descriptor)


def leave_refused_stdout() -> None:
    """Send stdout to nowhere, once whoever read it has closed the pipe or its file finds no space."""
    _lead_nowhere(1)


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _is_lost(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def spell_anything() -> None:
    """Let stdout and stderr take every text: what their encoding lacks is written in ASCII, ± as +/- and – as -.

    A stream that was closed before the command started leads to nowhere: the next file that is opened would take its place, and what
    a library prints would land there.
    """
    codecs.register_error(_PLAIN, _in_plain)
    for descriptor in (0, 1, 2):
        _fill_if_closed(descriptor)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


def _fill_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it takes the lowest free number: this one


def _in_plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"".join(_plain(character) for character in error.object[error.start : error.end]), error.end


def _plain(character: str) -> bytes:
    """A character in ASCII; a byte of a file name that no encoding explains is that byte again."""
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00])
    if character in _ASCII:
        return _ASCII[character].encode()
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore") or b"?"
