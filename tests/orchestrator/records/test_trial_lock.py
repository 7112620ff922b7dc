"""Who looks at a trial's lock hears whether it is held, on a file system without flock too."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import filelock
import pytest

from orchestrator.errors import StoreError
from orchestrator.records.trial_lock import is_held, trial_lock


def answering(code: int) -> Callable[[int, int], NoReturn]:
    def flock(descriptor: int, operation: int) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return flock


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_without_flock_a_trial_is_held_as_long_as_its_lock_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", answering(errno.ENOSYS))
    lock = tmp_path / ".lock"
    with trial_lock(lock, lambda: False):
        assert is_held(lock)
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(lock, timeout=0).acquire()
    assert not is_held(lock)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_say_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", answering(code))
    assert is_held(tmp_path / ".lock")


def test_a_lock_that_cannot_be_asked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", answering(errno.EIO))
    with pytest.raises(StoreError, match=r"\.lock does not tell whether .* \(Input/output error\)"):
        is_held(tmp_path / ".lock")
