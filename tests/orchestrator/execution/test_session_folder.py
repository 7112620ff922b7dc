"""Ray's own folder: its path is short, and it is removed, even after its driver was killed."""

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.execution.session_folder import session_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator.execution.session_folder import session_folder
with session_folder(Path(sys.argv[1])) as folder:
    (folder / "log").write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def age(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_a_session_folder_exists_for_the_session_only(tmp_path: Path):
    with session_folder(tmp_path) as folder:
        (folder / "sockets").mkdir()
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_the_default_folder_leaves_room_for_the_path_of_a_socket():
    with session_folder() as folder:
        assert len(str(folder)) < 50


def test_the_folder_of_a_killed_driver_is_removed_by_the_next_one(tmp_path: Path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    [left] = tmp_path.iterdir()
    with session_folder(tmp_path):
        assert left.exists()  # so new that its driver might be about to lock it
    age(left)
    with session_folder(tmp_path):
        assert not left.exists()


def test_the_folder_of_a_living_driver_is_kept(tmp_path: Path):
    with session_folder(tmp_path) as first:
        age(first)
        with session_folder(tmp_path) as second:
            assert first.exists() and second != first
        assert first.exists()
