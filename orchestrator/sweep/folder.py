"""Resolves a folder that an option, a variable or a sweep file names, and checks that it can be used."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from orchestrator.errors import FolderError

REFUSALS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    | {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
)
"""The errors of a folder that is not writable, full or not a folder: for the user to fix, not a defect."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{([^}]*)\})", re.ASCII)


def folder_named(text: str, named: str) -> Path:
    """The absolute path of a folder given as text: ``~`` and ``$VARIABLE`` as in a shell, relative to the current folder.

    ``named`` is the option, the variable or the line with the text. Raises FolderError, which names it.
    """
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise FolderError(f"{text!r} has a character that file names cannot have in this locale", named=named) from error
    for match in _VARIABLE.finditer(text):
        variable = match[1] or match[2] or ""
        if variable not in os.environ:
            raise FolderError(f"{text!r} uses the variable {variable!r}, which is not set", named=named)
    given = os.path.expandvars(text)
    if any(ord(character) < 32 or ord(character) == 127 for character in given):
        raise FolderError(f"{text!r} has a line break or another control character, which is not accepted in paths", named=named)
    path = _with_home(given)
    if path is None:
        raise FolderError(f"{text!r} begins with an unknown home folder; ./~ is a folder of that name", named=named)
    if not path.strip():
        raise FolderError(f"{text!r} names no folder; . is the current one", named=named)
    _refuse_undecodable(Path(path).absolute(), repr(text), named=named)
    return Path(path).absolute()


def _refuse_undecodable(folder: Path, what: str, *, named: str | None = None) -> None:
    """Refuses a path that is not UTF-8, as records, addresses and Ray's arguments are."""
    try:
        os.path.realpath(folder).encode()
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise FolderError(f"{what}: its path must be UTF-8, and in this locale it is not", named=named) from error


def _with_home(text: str) -> str | None:
    """The path with ``~`` or ``~user`` replaced by the home folder; None where that is unknown."""
    path = os.path.expanduser(text)  # noqa: PTH111  # pathlib raises where the user is unknown
    unknown = path.startswith("~") or (text.startswith("~") and os.environ.get("HOME") == "")
    return None if unknown else path


def check_folder(folder: Path, what: str, *, for_writing: bool = False) -> None:
    """Raises FolderError where a path is not a folder, cannot be created, or (``for_writing``) cannot be written to. Creates nothing."""
    _refuse_undecodable(folder, f"the {what} {folder} cannot be used")
    lowest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))  # a dangling link exists
    if not os.path.isdir(lowest):  # noqa: PTH112  # pathlib raises where a parent is not readable
        kind = "a link to nothing" if lowest.is_symlink() and not os.path.isfile(lowest) else "not a folder"  # noqa: PTH113
        raise FolderError(f"the {what} {folder} cannot be used: {lowest} is {kind}")
    if for_writing and not os.access(lowest, os.W_OK | os.X_OK):
        raise FolderError(f"the {what} {folder} cannot be written to: {lowest} is read-only, or another user's")
