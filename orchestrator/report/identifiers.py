"""Identifiers in tabular exports begin with a letter, so that no program takes one for a number.

Sixteen hex digits such as ``05076994e4836924`` are an infinite number where types are guessed, and a version such as ``12.10`` loses its
zero. Folder names and JSON, where a text is a text, have the bare value.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIXES: Mapping[str, str] = {
    "trial_id": "t-",
    "evaluation_id": "e-",
    "cell_id": "c-",
    "mlflow_run_id": "run-",
    "host": "host-",
    "git_commit": "git-",
    "weights_digest": "sha256-",
    "data_digest": "sha256-",
    "episodes_digest": "sha256-",
    "answers": "bits-",
    "lock_digest": "sha256-",
    "code_digest": "code-",
    "python_version": "python-",
    "torch_version": "torch-",
    "cuda_version": "cuda-",
}
"""The columns that hold identifiers, and what each of these begins with."""


def identifier(column: str, bare: str) -> str:
    """The identifier that a column holds, such as ``t-05076994e4836924``."""
    return f"{PREFIXES[column]}{bare}"
