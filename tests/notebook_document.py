"""Executes ``docs/notebook.ipynb`` and writes its outputs into it: ``.venv/bin/python -m tests.notebook_document``."""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parents[1] / "docs" / "notebook.ipynb"
Cell = dict[str, Any]


def document() -> dict[str, Any]:
    """The notebook as it is committed (nbformat 4)."""
    read: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return read


def code_cells(notebook: Mapping[str, Any]) -> list[Cell]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs_of(cells: Sequence[Cell], folder: Path) -> list[list[Cell]]:
    """What each cell puts out when all are executed in turn, in ``folder``: what it prints, then its last value."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(folder):
        return [_outputs(number, "".join(cell["source"]), names) for number, cell in enumerate(cells, 1)]


def _outputs(number: int, source: str, names: dict[str, Any]) -> list[Cell]:
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(ast.Module(body, []), f"cell {number}", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    said = printed.getvalue()
    outputs: list[Cell] = [{"name": "stdout", "output_type": "stream", "text": said.splitlines(keepends=True)}] if said else []
    if value is not None:
        outputs.append({"data": _shown(value), "execution_count": number, "metadata": {}, "output_type": "execute_result"})
    return outputs


def _shown(value: object) -> dict[str, Any]:
    """A value as Jupyter shows it: as text, and as the richest of Markdown, HTML and a picture that it offers."""
    shown: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
    if markdown := getattr(value, "_repr_markdown_", None):
        shown["text/markdown"] = markdown().splitlines(keepends=True)
    if html := getattr(value, "_repr_html_", None):
        shown["text/html"] = html().splitlines(keepends=True)
    if figure := getattr(value, "figure", None):
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=60, metadata={"Software": None})
        shown["image/png"] = base64.b64encode(png.getvalue()).decode() + "\n"
    return shown


def main() -> None:
    os.environ["MPLBACKEND"] = "agg"
    notebook = document()
    with tempfile.TemporaryDirectory() as folder:
        every = outputs_of(code_cells(notebook), Path(folder))
    for number, (cell, outputs) in enumerate(zip(code_cells(notebook), every, strict=True), 1):
        cell |= {"execution_count": number, "outputs": outputs}
    PATH.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
