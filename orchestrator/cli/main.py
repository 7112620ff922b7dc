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
        "Show how long a sweep will take, its cells, and what of it is done.",
        lambda: import_module("orchestrator.cli.plan").plan,
    ),
    ImportedLater(
        "status",
        "Show which trials are running, waiting, done and failed; failures by cause, with the log and the command that runs one.",
        lambda: import_module("orchestrator.cli.status").status,
    ),
    ImportedLater(
        "table",
        "Print the reproduced table beside the published one, at any time; missing numbers are missing.",
        lambda: import_module("orchestrator.cli.table").table,
    ),
    ImportedLater(
        "compare",
        "Compare rows that answered the same test episodes: the second less the first.",
        lambda: import_module("orchestrator.cli.compare").compare,
    ),
    ImportedLater(
        "export",
        "Write the tables trials, cells, episodes, curves and, if an algorithm adapts, adaptation; print their paths.",
        lambda: import_module("orchestrator.cli.export").export,
    ),
    ImportedLater(
        "ui",
        "Serve MLflow's UI on the store in use, on loopback only, until Ctrl-C; the page of every sweep's runs is printed.",
        lambda: import_module("orchestrator.cli.ui").ui,
    ),
    ImportedLater(
        "bring",
        "Take up the finished trials in FOLDERS: those that `fsl plan SWEEP --write-trials` wrote and `python -m fsl_core.train` trained, "
        "or the runs folder of another machine.",
        lambda: import_module("orchestrator.cli.bring").bring,
    ),
    ImportedLater("data", "The images that sweeps train on.", lambda: import_module("orchestrator.cli.data").data),
    ImportedLater(
        "gc",
        "List what old runs could free: trials that no launch on record and none of SWEEPS names, training checkpoints of finished "
        "trials, Ray's folders, what a killed write left.",
        lambda: import_module("orchestrator.cli.gc").gc,
    ),
)
for command in _COMMANDS:
    main.add_command(command)
