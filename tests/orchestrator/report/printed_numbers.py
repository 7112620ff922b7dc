"""The numbers of the shipped registries, as their tables print them."""

from orchestrator.report.published import PublishedCell
from tests.orchestrator.report.reported_sweep import registries

FOUR = [(5, 1), (5, 5), (20, 1), (20, 5)]
"""Ways and shots of Omniglot, in the order in which papers print them."""


def printed(source: str, table: str, algorithm: str, dataset: str, **variant: object) -> list[PublishedCell]:
    cells = registries().cells[source]
    here = [cell for cell in cells if (cell.table, cell.algorithm, cell.dataset) == (table, algorithm, dataset)]
    return [cell for cell in here if all(cell.variant.get(key) == value for key, value in variant.items())]


def tables_of(source: str) -> list[str]:
    return list(dict.fromkeys(cell.table for cell in registries().cells[source]))
