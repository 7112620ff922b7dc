"""``fsl``: the console script. No command is imported before it is called, so that ``fsl --help`` answers at once."""

from __future__ import annotations

from importlib import import_module

import click

from orchestrator.cli.exit_codes import ErrorMappingGroup
from orchestrator.cli.imported_later import ImportedLater


@click.group(cls=ErrorMappingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="few-shot-sweeps", prog_name="fsl")
def main() -> None:
    """Reproduce few-shot learning tables: a sweep file in, the paper's table out.

    \b
    Exit codes: 0 complete; 1 internal error; 2 usage, a bad sweep file, data or folder;
    3 some trial failed; 4 incomplete (interrupted); 5 another run holds this sweep.
    """


_COMMANDS = (
    ImportedLater(
        "run",
        "Compute the trials that a sweep lacks, and print its table.",
        lambda: import_module("orchestrator.cli.run").run,
    ),
    ImportedLater(
        "plan",
        "Show how long a sweep will take, its cells, and what is done.",
        lambda: import_module("orchestrator.cli.plan").plan,
    ),
    ImportedLater(
        "status",
        "Show which trials are running, waiting, done and failed.",
        lambda: import_module("orchestrator.cli.status").status,
    ),
    ImportedLater(
        "table",
        "Print the table as it stands, beside the published numbers.",
        lambda: import_module("orchestrator.cli.table").table,
    ),
    ImportedLater(
        "compare",
        "Compare rows of the table, paired by test episode and seed.",
        lambda: import_module("orchestrator.cli.compare").compare,
    ),
    ImportedLater(
        "export",
        "Write trials, cells, published numbers, episodes and curves.",
        lambda: import_module("orchestrator.cli.export").export,
    ),
    ImportedLater(
        "ui",
        "Serve MLflow's UI on this machine, until Ctrl-C.",
        lambda: import_module("orchestrator.cli.ui").ui,
    ),
    ImportedLater(
        "bring",
        "Take up trials that were trained on another machine.",
        lambda: import_module("orchestrator.cli.bring").bring,
    ),
    ImportedLater(
        "data", "Prepare or check the images that sweeps train on.", lambda: import_module("orchestrator.cli.data").data
    ),
    ImportedLater(
        "gc",
        "List, or with -y remove, what old runs could free.",
        lambda: import_module("orchestrator.cli.gc").gc,
    ),
)
for command in _COMMANDS:
    main.add_command(command)
