"""The list of commands that ``fsl --help`` shows, and the commands that are imported for it."""

import click
import pytest

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
