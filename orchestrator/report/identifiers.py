"""Prefixes identifiers in tabular exports with a letter, so that no program reads one as a number.

Programs that guess types read hex digits such as ``05076994e4836924`` as infinity, and drop the last zero of a version such as ``12.10``.
Folder names and JSON hold the bare value.
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
"""The columns of identifiers, with their prefixes."""


def identifier(column: str, bare: str) -> str:
    """The identifier that a column holds, such as ``t-05076994e4836924``."""
    return f"{PREFIXES[column]}{bare}"
