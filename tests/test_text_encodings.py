"""Text in files is UTF-8, whatever the locale says: every place in both packages that opens one names its encoding."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [str(path.relative_to(ROOT)) for package in ("fsl_core", "orchestrator") for path in (ROOT / package).rglob("*.py")]

TEXT = {"read_text", "write_text", "TextIOWrapper"}
TEXT_UNLESS_BINARY = {"open", "fdopen"}
BINARY_UNLESS_TEXT = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}
TEXT_IF_ASKED = {"run", "Popen", "check_output"}
OPENERS_OF_OTHER_THINGS = {"os", "Image", "lzma", "tarfile", "gzip", "webbrowser", "_DIRECT"}


def unnamed(source: str) -> Iterator[int]:
    """The lines of a source that open text without naming its encoding."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _opens_text(node) and "encoding" not in _keywords(node):
            yield node.lineno


def _opens_text(call: ast.Call) -> bool:
    name, owner = _name(call.func)
    if name in TEXT_UNLESS_BINARY and (owner not in OPENERS_OF_OTHER_THINGS or name == "fdopen"):
        return not any("b" in mode for mode in _modes(call))
    if name in BINARY_UNLESS_TEXT:
        return any("b" not in mode for mode in _modes(call))
    if name == "read_text" and call.args:
        return False  # its first argument is the encoding
    return name in TEXT or (name in TEXT_IF_ASKED and bool({"text", "universal_newlines"} & _keywords(call)))


def _name(function: ast.expr) -> tuple[str, str]:
    if isinstance(function, ast.Attribute):
        return function.attr, getattr(function.value, "id", "")
    return getattr(function, "id", ""), ""


def _keywords(call: ast.Call) -> set[str]:
    return {keyword.arg for keyword in call.keywords if keyword.arg}


def _modes(call: ast.Call) -> list[str]:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [node.value for node in given if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if text and set(text) <= set("rwaxbt+")]


@pytest.mark.parametrize("path", sorted(SOURCES))
def test_a_text_file_is_opened_as_utf_8(path: str) -> None:
    assert [f"{path}:{line}" for line in unnamed((ROOT / path).read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text()",
        "path.write_text(text)",
        "open(path)",
        "path.open('w')",
        "path.open()",
        "os.fdopen(1, 'w')",
        "tempfile.NamedTemporaryFile('w')",
        "subprocess.run(command, text=True)",
        "resources.files('a').read_text()",
    ],
)
def test_one_that_is_not_is_caught(source: str) -> None:
    assert list(unnamed(source)) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "path.read_text(encoding='utf-8')",
        "resource.read_text('utf-8')",
        "path.open('rb')",
        "open(path, 'wb')",
        "os.open(path, os.O_RDONLY)",
        "Image.open(file)",
        "tempfile.NamedTemporaryFile()",
        "subprocess.run(command)",
        "path.read_bytes()",
    ],
)
def test_what_is_bytes_passes(source: str) -> None:
    assert list(unnamed(source)) == []
