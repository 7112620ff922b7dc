"""Whatever Matplotlib inherits from the user, the pictures come out the same, and nothing fails for want of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.report.cells_figure import cells_figure
from orchestrator.report.drawing import draw_if_possible
from orchestrator.report.table_rows import table_rows
from tests.orchestrator.report.reported_sweep import plan_of, records_of, registries
from tests.orchestrator.report.written_report import write_report_folder

UGLY = (
    "axes.facecolor: red\nfont.size: 20\nbackend: TkAgg\nsavefig.dpi: 9\nfigure.dpi: 9\ntext.usetex: True\nsavefig.bbox: tight\n"
)
DRAW = """
import sys
from pathlib import Path
from tests.orchestrator.report.test_canvas import draw_cells
draw_cells(Path(sys.argv[1]))
assert not [name for name in sys.modules if name.startswith(("matplotlib.pyplot", "pylab"))]
"""


def draw_cells(folder: Path) -> bytes:
    folder.mkdir()
    plan = plan_of(folder)
    rows = table_rows(plan, records_of(plan, {0: [74, 75]}), registries())
    return cells_figure(rows, folder / "cells.png", title="cells").read_bytes()


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg"])
def test_the_users_backend_and_style_change_no_picture(tmp_path: Path, backend: str) -> None:
    style = tmp_path / "matplotlibrc"
    style.write_text(UGLY)
    root = Path(__file__).parents[3]
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(style), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path / "inherited")], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "inherited" / "cells.png").read_bytes() == draw_cells(tmp_path / "own")


def test_without_matplotlib_there_is_a_table_and_a_notice_for_each_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure of an earlier launch does not stay beside the new table."""
    plan, notices = plan_of(tmp_path), list[str]()
    report = tmp_path / "report"
    write_report_folder(report, plan, records_of(plan, {0: [74]}), registries())
    for name in ("canvas", "curves_figure", "cells_figure", "adaptation_figure"):
        monkeypatch.delitem(sys.modules, f"orchestrator.report.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files = {path.name for path in write_report_folder(report, plan, {}, registries(), notice=notices.append)}
    assert {"table.md", "table.json", "trials.parquet", "provenance.json"} <= files
    assert [notice.partition(" ")[0] for notice in notices] == ["curves.png", "cells.png"]
    assert all("was not drawn (ModuleNotFoundError: " in notice for notice in notices)
    assert {path.name for path in report.iterdir()} == files


def test_a_picture_that_can_be_neither_drawn_nor_removed_causes_no_error(tmp_path: Path) -> None:
    def fails(path: Path) -> Path:
        raise ValueError("two\nlines")

    notices: list[str] = []
    assert draw_if_possible(fails, tmp_path, notices.append) is None  # a folder stands where the picture belongs
    assert notices[0] == f"{tmp_path.name} was not drawn (ValueError: two)"
    assert "could not be removed" in notices[1]
