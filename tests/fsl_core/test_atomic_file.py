"""A file that only the first writer writes, also where the file system has no hard links."""

import errno
import os
from pathlib import Path

import pytest

from fsl_core.atomic_file import unfinished_writes, write_if_absent


@pytest.fixture(params=[None, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hard links, and with a file system that says each error to one."""
    number = request.param

    def refused(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    if number is not None:
        monkeypatch.setattr(os, "link", refused)


def test_the_first_writer_wins(links: None, tmp_path: Path) -> None:
    path = tmp_path / "folder" / "choice.json"
    assert write_if_absent(path, b"first")
    assert not write_if_absent(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(unfinished_writes(path.parent)) == []
    assert list(path.parent.iterdir()) == [path]


def test_any_other_error_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        write_if_absent(tmp_path / "choice.json", b"first")
    assert list(tmp_path.iterdir()) == []
