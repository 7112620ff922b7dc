"""Where torch.compile keeps the code that it generates, so that a later process need not compile it again. Imports no torch."""

from __future__ import annotations

import getpass
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsl_core.json_digest import json_digest
from fsl_core.processor import processor_name

COMPILED_CODE = "compiled"
"""Folder of the compiled code under a runs root. Everything in it can be compiled again."""
_FOLDER, _KERNELS = "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"


@contextmanager
def compiled_code_in(folder: Path) -> Iterator[None]:
    """Keep in ``folder`` what is compiled inside the block, unless the environment names another folder.

    Machines may share the folder: code for another processor is in a part of its own.
    """
    if environment_names_a_folder():
        yield
        return
    before = {name: os.environ.get(name) for name in (_FOLDER, _KERNELS)}
    os.environ[_FOLDER] = str(folder.absolute() / json_digest(processor_name())[:16])
    if not _named_by_the_user(os.environ.get(_KERNELS, "")):
        os.environ.pop(_KERNELS, None)
    try:
        yield
    finally:
        for name, value in before.items():  # torch sets that of the kernels inside the block
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def environment_names_a_folder() -> bool:
    """Whether the environment names a folder for compiled code."""
    return _named_by_the_user(os.environ.get(_FOLDER, ""))


def _named_by_the_user(folder: str) -> bool:
    """Whether the user named a folder: torch sets the variables to its own default as soon as its compiler is imported."""
    default = Path(tempfile.gettempdir(), "torchinductor_" + re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser()))
    return bool(folder) and default not in (Path(folder), *Path(folder).parents)
