"""Which code a result comes from: only this project's own checkout may say so."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from orchestrator.provenance import CodeState, code_state, library_versions, now


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with one committed module."""
    folder = tmp_path / "project"
    (folder / "fsl_core").mkdir(parents=True)
    (folder / "fsl_core" / "trial.py").write_text("A = 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "one")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_checkout_is_named_by_its_commit(project: Path):
    assert code_state(project) == CodeState(git_commit=git(project, "rev-parse", "HEAD"), git_dirty=False, lock_digest=None)


@pytest.mark.parametrize("name", ["trial.py", "new.py"])
def test_a_changed_or_a_new_module_makes_it_dirty(project: Path, name: str):
    (project / "fsl_core" / name).write_text("A = 2\n")
    assert code_state(project).git_dirty is True


def test_what_is_not_code_does_not_make_it_dirty(project: Path):
    (project / "notes.txt").write_text("")
    assert code_state(project).git_dirty is False


def test_an_installation_inside_another_projects_checkout_has_no_commit(project: Path):
    installed = project / "fsl_core"
    assert code_state(installed) == CodeState(git_commit=None, git_dirty=None, lock_digest=None)


def test_a_folder_without_git_has_no_commit(tmp_path: Path):
    (tmp_path / "requirements.lock").write_bytes(b"torch==1\n")
    digest = hashlib.sha256(b"torch==1\n").hexdigest()
    assert code_state(tmp_path) == CodeState(git_commit=None, git_dirty=None, lock_digest=digest)


def test_versions_and_times_are_what_they_say():
    assert {"python", "torch", "numpy", "ray", "mlflow"} <= set(library_versions())
    assert now().endswith("+00:00")
