"""Whether a trial's lock is held can be checked, even on a file system without flock."""

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
def test_without_flock_a_trial_is_held_while_its_lock_file_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", answering(errno.ENOSYS))
    lock = tmp_path / ".lock"
    with trial_lock(lock, lambda: False):
        assert is_held(lock)
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(lock, timeout=0).acquire()
    assert not is_held(lock)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_lock_counts_as_held_where_flock_is_not_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", answering(code))
    assert is_held(tmp_path / ".lock")


def test_a_lock_that_cannot_be_queried_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".lock").touch()
    monkeypatch.setattr(fcntl, "flock", answering(errno.EIO))
    with pytest.raises(StoreError, match=r"\.lock does not show whether .* \(Input/output error\)"):
        is_held(tmp_path / ".lock")
