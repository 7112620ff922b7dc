"""Functions and files stay small: their sizes are counted over both packages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for package in ("fsl_core", "orchestrator")
    for path in sorted((ROOT / package).rglob("*.py"))
}
MOST_LINES, MOST_POSITIONAL = 250, 5


@dataclass(frozen=True)
class Function:
    """A function or method: where it is, its lines, and how many arguments it takes by position."""

    where: str
    lines: int
    positional: int
    named_by_its_caller: bool


def functions(path: str, source: str) -> Iterator[Function]:
    tree = ast.parse(source)
    operations = {id(method) for node in ast.walk(tree) if _is_operation(node) for method in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(
                where=f"{path}:{node.lineno} {node.name}",
                lines=(node.end_lineno or node.lineno) - node.lineno + 1,
                positional=0 if id(node) in operations else len(_positional(node)),
                named_by_its_caller=any(_is_click(decorator) for decorator in node.decorator_list),
            )


def _positional(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Arguments that may be given by position, without the object of a method."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def _is_operation(node: ast.AST) -> bool:
    """Whether it is an operation of torch, which calls it by position with all that it computes with."""
    return isinstance(node, ast.ClassDef) and "torch.autograd.Function" in map(ast.unparse, node.bases)


def _is_click(decorator: ast.expr) -> bool:
    """Whether it makes a command, which click gives every option by name."""
    return ast.unparse(decorator).startswith(("click.command", "click.group"))


def too_many_arguments(path: str, source: str) -> list[str]:
    found = functions(path, source)
    return [each.where for each in found if each.positional > MOST_POSITIONAL and not each.named_by_its_caller]


def test_functions_are_short() -> None:
    lines = [each.lines for path, source in FILES.items() for each in functions(path, source)]
    assert median(lines) <= 8
    assert quantiles(lines, n=20)[-1] <= 25


def test_files_are_short() -> None:
    lengths = {path: len(source.splitlines()) for path, source in FILES.items()}
    assert median(length for length in lengths.values() if length) <= 90
    assert {path for path, length in lengths.items() if length > MOST_LINES} == set()


def test_no_function_takes_many_arguments_by_position() -> None:
    assert [where for path, source in FILES.items() for where in too_many_arguments(path, source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b, c, d, e, g): ...",
        "def f(a, b, c, /, d, e, g): ...",
        "class C:\n    async def f(self, a, b, c, d, e, g): ...",
        "@cached\ndef f(a, b, c, d, e, g=None): ...",
    ],
)
def test_a_function_of_six_is_found(source: str) -> None:
    assert too_many_arguments("x.py", source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b, c, d, e, *, g): ...",
        "class C:\n    def f(self, a, b, c, d, e): ...",
        "@click.command()\ndef f(a, b, c, d, e, g): ...",
        "class Fused(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, a, b, c, d, e, g): ...",
    ],
)
def test_five_and_those_that_are_given_by_name_pass(source: str) -> None:
    assert not too_many_arguments("x.py", source)
