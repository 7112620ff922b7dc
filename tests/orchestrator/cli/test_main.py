"""The list of commands that ``fsl --help`` shows, and the commands that are imported for it."""

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli.imported_later import ImportedLater
from orchestrator.cli.main import main

LISTED = {name: command for name, command in main.commands.items() if isinstance(command, ImportedLater)}


def test_every_command_is_imported_later():
    assert main.commands == LISTED


@pytest.mark.parametrize("name", sorted(LISTED))
def test_a_listed_command_is_the_one_of_its_module(name: str):
    command = LISTED[name].load()
    assert isinstance(command, click.Command)
    assert command.name == name


@pytest.mark.parametrize("name", sorted(LISTED))
def test_the_list_says_what_the_command_says_of_itself(name: str):
    assert LISTED[name].get_short_help_str(1000) == LISTED[name].load().get_short_help_str(1000)


@pytest.mark.parametrize("group", [(), ("data",)], ids=["fsl", "fsl data"])
def test_no_help_text_in_a_list_of_commands_is_cut(group: tuple[str, ...]):
    _, *commands = CliRunner().invoke(main, [*group, "--help"]).stdout.partition("Commands:")[2].splitlines()
    assert len(commands) > 1
    assert not [line for line in commands if line.endswith("...")]
