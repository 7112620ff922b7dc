"""Digests of JSON values are names on record already: they stay what they are, whatever the order of the keys."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsl_core.json_digest import compact_json, json_digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(each) for each in value] if isinstance(value, list) else value


@given(VALUES, VALUES)
def test_only_equal_values_have_equal_texts_and_digests(one: Any, other: Any) -> None:
    assert compact_json(one) == compact_json(reversed_keys(one)) and json_digest(one) == json_digest(reversed_keys(one))
    assert (json_digest(one) == json_digest(other)) == (compact_json(one) == compact_json(other))


def test_recorded_digests_are_unchanged() -> None:
    assert compact_json({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'
    assert json_digest({"b": [1, 2.5], "a": None}).startswith("6b1d84977084473f")
    assert json_digest([]).startswith("4f53cda18c2baa0c")


def test_a_number_that_json_lacks_has_no_compact_text() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        compact_json({"loss": math.nan})
