"""Documents: the values of YAML 1.2, their lines, and the error for anything else."""

import math
from pathlib import Path

import pytest

from orchestrator.errors import SweepFileError
from orchestrator.sweep.document import Document, parse_scalar, read_document


def read(folder: Path, text: str) -> Document:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return read_document(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SweepFileError) as caught:
        read(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/sweep.yaml:")


SCALARS = {
    "1_000": 1000, "017": 17, "0o17": 15, "0x1F": 31, "-0b101": -5, "+5": 5, "1e3": 1000.0, "1.e3": 1000.0, "1e-06": 1e-6, ".5": 0.5,
    "-1.": -1.0, ".inf": math.inf, "-.INF": -math.inf, "TRUE": True, "false": False, "~": None, "": None, "Null": None,
    # text, unlike in YAML 1.1
    "yes": "yes", "off": "off", "12:30": "12:30", "2020-01-01": "2020-01-01", "_1": "_1", "1.2.3": "1.2.3", "0o8": "0o8",
    "'5'": "5", '"true"': "true", "a:b": "a:b",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_scalars_are_typed_by_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    for found in (read(tmp_path, f"key: {text}\n").values["key"], parse_scalar(text, source="--set")):
        assert found == value and type(found) is type(value)


def test_each_key_and_item_has_its_line(tmp_path: Path) -> None:
    lines = read(tmp_path, "a:\n  b: 1\n  c:\n  - 2\n  - {d: 3,\n     e: 4}\n").lines
    assert lines == {
        (): 1, ("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4, ("a", "c", 1): 5, ("a", "c", 1, "d"): 5, ("a", "c", 1, "e"): 6,
    }  # fmt: skip


def test_a_merged_mapping_fills_in_what_is_not_given(tmp_path: Path) -> None:
    text = "one: &one {x: 1, y: 1}\ntwo: &two {y: 2, z: 2}\nall:\n  <<: [*one, *two]\n  x: 0\n"
    document = read(tmp_path, text)
    assert list(document.values["all"].items()) == [("x", 0), ("y", 1), ("z", 2)]
    assert [document.lines["all", key] for key in "xyz"] == [5, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: {c: 2, c: 3}", "2: found duplicate key 'c'"),
        ("a: 1\n5: 2", "2: the key 5 is not text"),
        ("a: 1\n? [b]\n: 2", "2: a key is text, and no list or mapping"),
        ("a:\n- !ours 5", "2: a[0]: a value with the tag !ours; accepted: text, numbers, true, false"),
        ("a: !!python/object:os.system x", "1: a: a value with the tag !!python/object:os.system; "),
        ("a: !ours {b: 1}", "1: a: a value with the tag !ours; "),
        ("a: !!int five", "1: a: a value with the tag !!int; "),
        ("a: 0x_", "1: a: invalid literal for int() with base 0"),
        ("a: [1,\nb: 2]]", "2: "),
        ("a: 1\n---\nb: 2", "2: but found another document"),
        ("a: *nothing", "1: found undefined alias"),
        ("a: &a [*a]", " too many or too deeply nested values"),
        ("a: &a {<<: *a}", " too many or too deeply nested values"),
        ("a: {<<: 5}", "1: << merges a mapping, or a list of mappings"),
        ("a: " + "[" * 200_000, "1: too deeply nested values"),
        ("a: &a [1, 2]\nb: &b [" + "*a, " * 999 + "*a]\nc: [" + "*b, " * 99 + "*b]", " too many or too deeply nested values"),
        ("- a", "1: a sweep file is a mapping of keys"),
        ("", "1: a sweep file is a mapping of keys"),
    ],
)  # fmt: skip
def test_anything_else_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text).startswith(message)
