"""The tests pass in the background of a shell and under nohup too, where every process inherits ignored signals."""

import subprocess
import sys
from pathlib import Path

STARTS_A_PROCESS = """
import os, signal, subprocess, sys
IGNORED = "import signal; print(signal.SIG_IGN in map(signal.getsignal, (signal.SIGHUP, signal.SIGINT)))"

def test_it():
    assert subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True).stdout == "False\\n"
    os.kill(os.getpid(), signal.SIGHUP)
"""


def test_what_a_test_starts_ignores_no_signal(tmp_path: Path) -> None:
    """The hangup at its end must not end the tests."""
    root = Path(__file__).parents[1]
    (tmp_path / "test_it.py").write_text(STARTS_A_PROCESS)
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    command = ["sh", "-c", 'trap "" HUP INT; exec "$@"', "sh", *map(str, pytest)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and "1 passed" in ended.stdout, ended.stdout + ended.stderr
