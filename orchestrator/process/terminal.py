"""Protects a command's output from a terminal that closes or lacks characters, and from a reader or a disk that takes no more."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import termios
import unicodedata
from typing import Any

_PLAIN = "fsl_plain"
_ASCII = {"–": "-", "—": "-", "−": "-", "±": "+/-", "→": "->", "×": "x", "·": "|", "─": "-", "━": "-", "│": "|", "█": "#"}


def leave_lost_terminal() -> None:
    """Redirect stdout and stderr to the null device where their terminal was closed: each write would fail."""
    for descriptor in (1, 2):
        if _is_lost(descriptor):
            _redirect_to_null(descriptor)


def leave_refused_stdout() -> None:
    """Redirect stdout to the null device after its reader closed the pipe or its disk filled up."""
    _redirect_to_null(1)


def _redirect_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def _is_lost(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except termios.error as error:
        return bool(error.args[0] == errno.EIO)
    return False


def spell_anything() -> None:
    """Make stdout and stderr accept every text: characters that their encoding lacks are written in ASCII, ± as +/- and – as -.

    A stream that was closed before the command started is redirected to the null device: otherwise the next file to be opened would
    take its descriptor, and a library's output.
    """
    codecs.register_error(_PLAIN, _in_plain)
    for descriptor in (0, 1, 2):
        _fill_if_closed(descriptor)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    _survive_refusals_of_stderr()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_PLAIN)


class _Stderr(io.FileIO):
    """Stderr, whose writes never fail: a launch of days must not end because nobody reads its notices, or its log's disk is full."""

    def write(self, data: Any, /) -> int:
        """Write the data; to the null device, and all that follows, where they are refused."""
        try:
            return super().write(data)
        except OSError:
            _redirect_to_null(self.fileno())
            return super().write(data)


def _survive_refusals_of_stderr() -> None:
    stream = sys.stderr
    if not isinstance(stream, io.TextIOWrapper):
        return
    file = getattr(stream.buffer, "raw", stream.buffer)  # the buffer is the file itself under PYTHONUNBUFFERED
    if type(file) is io.FileIO and file.fileno() == 2:
        writer = io.BufferedWriter(_Stderr(2, "w", closefd=False))
        sys.stderr = io.TextIOWrapper(writer, encoding=stream.encoding, errors=stream.errors, line_buffering=True)


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
    """A character in ASCII; an undecodable byte of a file name is written unchanged."""
    if "\udc80" <= character <= "\udcff":
        return bytes([ord(character) - 0xDC00])
    if character in _ASCII:
        return _ASCII[character].encode()
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore") or b"?"
