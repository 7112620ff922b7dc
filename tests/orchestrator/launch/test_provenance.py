"""Which code a result comes from: only this project's own checkout may say so."""

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fsl_core.code_digest import code_digest
from fsl_core.provenance import CodeState, code_state, library_versions, now

ROOT = Path(__file__).parents[3]


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


def state(project: Path, **known: Any) -> CodeState:
    """What is said of a project, beside its content."""
    digest = code_digest((project / "fsl_core", project / "orchestrator"))
    return CodeState(**{"git_commit": None, "git_dirty": None, "lock_digest": None, "code_digest": digest, **known})


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_a_clean_checkout_is_named_by_its_commit(project: Path):
    assert code_state(project) == state(project, git_commit=git(project, "rev-parse", "HEAD"), git_dirty=False)


@pytest.mark.parametrize("name", ["trial.py", "new.py"])
def test_a_changed_or_a_new_module_makes_it_dirty(project: Path, name: str):
    (project / "fsl_core" / name).write_text("A = 2\n")
    assert code_state(project).git_dirty is True


def test_what_is_not_code_does_not_make_it_dirty(project: Path):
    (project / "notes.txt").write_text("")
    assert code_state(project).git_dirty is False


def test_an_installation_inside_another_projects_checkout_has_no_commit(project: Path):
    installed = project / "fsl_core"
    assert code_state(installed) == state(installed)


def test_a_folder_without_git_has_no_commit(tmp_path: Path):
    assert code_state(tmp_path) == state(tmp_path)


def test_the_lock_is_named_where_the_installed_libraries_are_those_of_the_lock(tmp_path: Path):
    pinned = f"torch==0.0.1 ; python_version < '3'\ntorch=={version('torch')} \\\n    --hash=sha256:00\nnot-of-this-system==1\n".encode()
    (tmp_path / "requirements.lock").write_bytes(pinned)
    assert code_state(tmp_path).lock_digest == hashlib.sha256(pinned).hexdigest()
    (tmp_path / "requirements.lock").write_bytes(b"torch==0.0.1\n")
    assert code_state(tmp_path).lock_digest is None


@pytest.mark.parametrize("name", ["fsl_core/training/trial.py", "fsl_core/new.py", "orchestrator/splits/train.txt"])
def test_the_code_is_named_by_its_content(project: Path, tmp_path: Path, name: str):
    before = code_digest((project / "fsl_core", project / "orchestrator"))
    shutil.copytree(project, copy := tmp_path / "copy")
    assert code_digest((copy / "fsl_core", copy / "orchestrator")) == before
    shutil.copytree(project, edited := tmp_path / "edited")
    (edited / name).parent.mkdir(parents=True, exist_ok=True)
    (edited / name).write_text("A = 2\n")
    assert code_digest((edited / "fsl_core", edited / "orchestrator")) != before


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Another checkout, with a commit of its own."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "--allow-empty", "-m", "theirs")
    return folder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_DIR", ".git"),
        ("GIT_WORK_TREE", "."),
        ("GIT_INDEX_FILE", ".git/index"),
        ("GIT_COMMON_DIR", ".git"),
        ("GIT_OBJECT_DIRECTORY", ".git/objects"),
        ("GIT_NAMESPACE", "theirs"),
        ("GIT_CEILING_DIRECTORIES", "/"),
        ("GIT_TRACE", "1"),
    ],
)
def test_a_variable_of_a_hook_never_makes_the_commit_a_strangers(
    project: Path, stranger: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    own = state(project, git_commit=git(project, "rev-parse", "HEAD"), git_dirty=False)
    monkeypatch.setenv(name, str(stranger / value) if value.startswith(".") else value)
    assert code_state(project) == own


def test_a_real_hook_of_another_checkout_sees_our_commit(project: Path, stranger: Path):
    """Git itself sets the variables here; the hook runs the code as a user's post-commit hook would run a sweep."""
    seen = stranger / "seen"
    code = f"from fsl_core.provenance import code_state; print(code_state(Path({str(project)!r})).git_commit)"
    hook = stranger / ".git" / "hooks" / "post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        f"""#!/bin/sh\ncd {ROOT} && {sys.executable} -c "from pathlib import Path; {code}" > {seen}\n""", encoding="utf-8"
    )
    hook.chmod(0o755)
    git(stranger, "-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "--quiet", "--allow-empty", "-m", "two")
    assert seen.read_text(encoding="utf-8").strip() == git(project, "rev-parse", "HEAD")


def test_a_machine_without_git_says_so(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    state = code_state(project)
    assert (state.git_commit, state.git_dirty) == (None, None)
    assert state.git_problem is not None and "git does not run here (No such file" in state.git_problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_checkout_of_somebody_else_says_what_git_says(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for path in (project, project / ".git"):
        os.chown(path, 12345, 12345)
    state = code_state(project)
    assert state.git_commit is None
    assert state.git_problem is not None and "dubious ownership" in state.git_problem


def test_the_users_own_settings_of_git_count(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[safe]\n\tdirectory = {project}\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    commit = git(project, "rev-parse", "HEAD")
    for path in (project, project / ".git"):
        os.chown(path, 12345, 12345)
    assert code_state(project) == state(project, git_commit=commit, git_dirty=False)


def test_a_checkout_that_is_broken_is_not_taken_for_the_one_around_it(project: Path):
    inner = project / "fsl_core"
    (inner / ".git").mkdir()
    state = code_state(inner)
    assert state.git_commit is None
    assert state.git_problem is not None and "not a git repository" in state.git_problem


def test_a_look_at_a_checkout_writes_nothing_into_it(project: Path):
    (project / "fsl_core" / "trial.py").touch()  # git would refresh its index
    before = (project / ".git" / "index").read_bytes()
    code_state(project)
    assert (project / ".git" / "index").read_bytes() == before


def test_versions_and_times_are_what_they_say():
    assert {"python", "torch", "numpy", "ray", "mlflow"} <= set(library_versions())
    assert now().endswith("+00:00")
