"""``docs/notebook.ipynb``: its cells run, and the outputs committed with them are of the kinds that they put out."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.notebook_document import Cell, code_cells, document, outputs_of

STEPS = "steps: 100"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    for name in ("FSL_DATA_ROOT", "FSL_RUNS_ROOT", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def kinds(outputs: Iterable[Cell]) -> list[tuple[str, ...]]:
    """The form of each output: stream or result, the types of its data, the columns of its frame."""
    return [(each["output_type"], *sorted(each.get("data", ())), *_columns(each)) for each in outputs]


def _columns(output: Cell) -> list[str]:
    return re.findall("<th>(.+?)</th>", "".join(output.get("data", {}).get("text/html", "")))


@pytest.mark.usefixtures("alone")
def test_the_cells_run_and_put_out_what_is_committed(tmp_path: Path) -> None:
    """With fewer steps, so that other numbers come out, in outputs of the same kinds."""
    cells = code_cells(document())
    shorter = [{**cell, "source": [line.replace(STEPS, "steps: 20") for line in cell["source"]]} for cell in cells]
    assert shorter != cells, f"{STEPS} is not there any more"
    assert [kinds(outputs) for outputs in outputs_of(shorter, tmp_path)] == [kinds(cell["outputs"]) for cell in cells]


def test_the_outputs_are_of_one_execution_from_the_first_cell_to_the_last() -> None:
    notebook = document()
    cells = code_cells(notebook)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert {"text/markdown", "text/html", "image/png"} <= {
        kind for cell in cells for each in cell["outputs"] for kind in each.get("data", ())
    }
