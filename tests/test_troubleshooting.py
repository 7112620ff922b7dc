"""The messages that docs/troubleshooting.md explains are those that the program prints."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GAP = "…"
MESSAGES = re.findall(r"^> (.*)$", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)


@cache
def printed() -> tuple[str, ...]:
    """Every text in the code of both packages, with a gap for each value in it."""
    sources = (path for package in ("fsl_core", "orchestrator") for path in sorted((ROOT / package).rglob("*.py")))
    return tuple(text for path in sources for text in texts(path.read_text(encoding="utf-8")))


def texts(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def is_printed(message: str) -> bool:
    """Whether some text has the words of a message, in their order, around its gaps."""
    words = ".*".join(re.escape(part.strip()) for part in message.split(GAP))
    return any(re.search(words, text, re.DOTALL) for text in printed())


def test_eleven_failures_are_explained() -> None:
    headings = re.findall(r"^## ", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(headings) == 12 and len(MESSAGES) >= 10  # the last heading is of everything else


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_printed_as_the_document_has_it(message: str) -> None:
    assert is_printed(message)


def test_a_reworded_message_is_noticed() -> None:
    assert not is_printed(MESSAGES[0].replace("neither", "not"))
