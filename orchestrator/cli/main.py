"""``fsl``: the console script. A command's heavy imports stand inside its function, so that ``fsl --help`` answers at once."""

from __future__ import annotations

import click

from orchestrator.cli.bring import bring
from orchestrator.cli.compare import compare
from orchestrator.cli.data import data
from orchestrator.cli.exit_codes import ErrorMappingGroup
from orchestrator.cli.export import export
from orchestrator.cli.gc import gc
from orchestrator.cli.plan import plan
from orchestrator.cli.run import run
from orchestrator.cli.status import status
from orchestrator.cli.table import table
from orchestrator.cli.ui import ui


@click.group(cls=ErrorMappingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="few-shot-sweeps", prog_name="fsl")
def main() -> None:
    """Reproduce few-shot learning tables: a sweep file in, the paper's table out.

    \b
    Exit codes: 0 complete; 1 internal error; 2 usage, a bad sweep file, data or folder;
    3 some trial failed; 4 incomplete (interrupted); 5 another run holds this sweep.
    """


for command in (run, plan, status, table, compare, export, ui, bring, data, gc):
    main.add_command(command)
