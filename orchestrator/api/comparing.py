"""``fsl.compare``: differences of rows that answered the same test episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fsl_core.listeners import Notice
from orchestrator.api.loading import Folder, SweepLike, given_folder, load
from orchestrator.api.tables import table
from orchestrator.errors import ComparisonError, UnknownSweepError
from orchestrator.launch.callbacks import warn_caller
from orchestrator.launch.workspace import Sweep
from orchestrator.sweep.folder import check_folder

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.report.comparison import Comparison
    from orchestrator.report.comparison_row import ComparedRow


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparisons:
    """Differences of rows, the second less the first. As text it is what ``fsl compare`` prints.

    Attributes:
        pairs: the differences, with their intervals and p-values.
        left_out: sentences about rows that could not be compared.
    """

    pairs: tuple[Comparison, ...]
    left_out: tuple[str, ...]

    def text(self, form: Literal["text", "json", "csv"] = "text") -> str:
        """The differences in one of their forms."""
        from orchestrator.report.comparison_text import render_comparison

        return render_comparison(self.pairs, self.left_out, form)

    def frame(self) -> pd.DataFrame:
        """A row for each difference, with the columns of its CSV."""
        import pandas as pd

        from orchestrator.report.comparison_text import values_of
        from orchestrator.report.json_keys import COMPARISON_KEYS

        return pd.DataFrame([values_of(each) for each in self.pairs], columns=list(COMPARISON_KEYS))

    def write(self, folder: Folder, *, notice: Notice = warn_caller) -> None:
        """Write comparison.txt, .json, .csv and .png. Where the figure cannot be drawn, ``notice`` is given the reason.

        Raises:
            FolderError: the folder cannot be written to.
        """
        from orchestrator.report.comparison_folder import write_comparison

        target = given_folder(folder, "folder")
        check_folder(target, "folder of the comparison", for_writing=True)
        write_comparison(target, self.pairs, self.left_out, notice=notice)

    def __repr__(self) -> str:
        return self.text().rstrip("\n")


def compare(
    *tables: SweepLike, rows: tuple[str, str] | None = None, by: str | None = None, only: str | Sequence[str] = ()
) -> Comparisons:
    """Compare rows that answered the same test episodes: the second less the first.

    Of one table every two rows of the same episodes are compared, or those of ``rows`` or ``by``; of two tables the same cells,
    whatever ``by`` has.

    Args:
        tables: one or two: the name or path of a sweep file, or what :func:`load` returns, whose finished trials count; or a folder of
            exports.
        rows: two rows of one table: numbers, ids of cells, or settings such as ``"distance=cosine"``.
        by: the setting in which the rows differ: ``distance``, ``order``, ``steps``.
        only: keeps the rows that match one of these, ``"way=5,shot=1"``.

    Returns:
        The differences, as text in three forms and as a DataFrame.

    Raises:
        ComparisonError: no two rows can be compared as asked; the message says which rows there are.
        ExportError: a folder does not hold exports.
        SweepFileError: a sweep file, or ``only``, is wrong.

    Example:
        >>> print(fsl.compare("results/quick", by="distance"))  # doctest: +SKIP
    """
    from orchestrator.report.comparison import compare as compare_pairs
    from orchestrator.report.comparison_pairs import choose_pairs, selected

    sides = [selected(_rows_of(each), (only,) if isinstance(only, str) else only) for each in tables]
    chosen = choose_pairs(sides, rows=rows, by=by)
    return Comparisons(pairs=compare_pairs(chosen.pairs), left_out=chosen.left_out)


def table_named(
    name: str, *, set: Mapping[str, object] | Sequence[str] = (), seeds: str | Sequence[int] | None = None, **options: Any
) -> SweepLike:
    """A folder of exports as it is; otherwise the sweep of the name, loaded with its overrides and further ``options`` of :func:`load`.

    Raises:
        ComparisonError: there are overrides for a folder of exports.
        UnknownSweepError: it is neither a folder nor a sweep.
    """
    if not Path(name).is_dir():
        return _loaded(name, set=set, seeds=seeds, **options)
    if set or seeds is not None:
        raise ComparisonError(f"{name} is a folder of exports: --set and --seeds are overrides of a sweep")
    return name


def _loaded(name: str, **options: Any) -> Sweep:
    try:
        return load(name, **options)
    except UnknownSweepError as error:
        raise UnknownSweepError(f"{error}; no folder of exports, such as results/NAME, is there either") from error


def _rows_of(source: SweepLike) -> tuple[ComparedRow, ...]:
    from orchestrator.report.comparison_row import read_rows, rows_of_tables

    if isinstance(source, str | Path) and Path(source).is_dir():
        return read_rows(Path(source), str(source))
    reproduced = table(_loaded(source) if isinstance(source, str) else source)
    return rows_of_tables(reproduced.frames(), reproduced.workspace.plan.spec.name)
