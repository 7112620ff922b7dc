"""A password in an address: used, and shown to nobody."""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sweep.tracking_address import TrackingAddress, problem_with, without_password


@pytest.mark.parametrize(
    ("address", "database", "server"),
    [
        ("sqlite:///x.db", True, False),
        ("postgresql+psycopg2://host/db", True, False),
        ("http://localhost:5000", False, True),
        ("databricks", False, False),
    ],
)
def test_kinds_of_stores(address: str, database: bool, server: bool):
    kind = TrackingAddress(address)
    assert (kind.is_database, kind.is_server) == (database, server)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see postgresql://me:hush@db/x and http://h:1/", "see postgresql://me:***@db/x and http://h:1/"),
        ("http://me:hu%40sh@h:5000/a", "http://me:***@h:5000/a"),
        ("https://hush@h/a", "https://***@h/a"),
        ("postgresql+psycopg2://me:hu/sh@h/db", "postgresql+psycopg2://me:***@h/db"),
        ("postgresql://me:hu@sh@h/db", "postgresql://me:***@h/db"),
        ("mysql://h/db?user=me&password=hush&ssl=1", "mysql://h/db?user=me&password=***&ssl=1"),
        ("mysql://h/db?pass%77ord=hush", "mysql://h/db?pass%77ord=***"),
        ("mssql://h/db?odbc_connect=PWD%3Dhush%3B", "mssql://h/db?odbc_connect=***"),
        ("host=db password=hush", "host=db password=***"),
        ("--tracking-uri=postgresql://me:hush@h/db --yes", "--tracking-uri=postgresql://me:***@h/db --yes"),
        ("http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning", None),
        ("fsl run quick.yaml --set steps=20 --only 'way=5,shot=1'", None),
        ("postgresql://me@h:5432/db", None),
    ],
)
def test_passwords_are_removed(text: str, shown: str | None):
    assert without_password(text) == (text if shown is None else shown)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters="*"), min_size=6, max_size=20)
FORMS = ("postgresql://me:{}@host/db", "http://me:{}@host:5000/x", "https://{}@host/", "mysql://host/db?password={}&x=1")


@given(secret=SECRETS, form=st.sampled_from(FORMS))
def test_no_text_shows_the_secret_of_an_address(secret: str, form: str):
    address = TrackingAddress(form.format(quote(secret, safe="")))
    said = f"cannot connect to {address.whole} with '{secret}' or {quote(secret, safe='')}"
    for shown in (str(address), repr(address), f"{address}", repr([address]), address.redact(said)):
        assert secret not in shown
        assert quote(secret, safe="") not in shown
    assert address.has_secret
    assert str(pickle.loads(pickle.dumps(address))) == str(address)


@given(secret=SECRETS.filter(lambda text: not set(text) & set("@?&#;:/")))
def test_a_password_that_is_not_encoded_is_hidden_too(secret: str):
    assert secret not in str(TrackingAddress(f"postgresql://me:{secret}@host/db"))


def test_an_address_without_a_secret_is_shown_unchanged():
    for whole in ("sqlite:////a/b%20c.db", "http://host:5000/", "postgresql://me@host/db?sslmode=require"):
        assert str(TrackingAddress(whole)) == whole
        assert not TrackingAddress(whole).has_secret


def test_a_relative_store_has_one_absolute_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert TrackingAddress("sqlite:///own.db").absolute().sqlite_file == tmp_path / "own.db"
    for whole in ("sqlite:////a/own.db", "sqlite:///:memory:", "postgresql://host/own.db"):
        assert TrackingAddress(whole).absolute().whole == whole


def test_a_browsers_page_has_no_password():
    assert TrackingAddress("https://me:hush@host:5000/mlflow").page == "https://host:5000/mlflow"
    assert TrackingAddress("http://host/a@b").page == "http://host/a@b"


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("sqlite:///x.db", "x.db"),
        ("sqlite:////a%20b/x.db?timeout=5", "/a b/x.db"),
        ("sqlite:///:memory:", None),
        ("sqlite:///", None),
        ("sqlite:///file:x.db?mode=ro&uri=true", None),
        ("http://h/x.db", None),
    ],
)
def test_only_a_store_in_a_file_has_a_file(address: str, file: str | None):
    assert TrackingAddress(address).sqlite_file == (None if file is None else Path(file))


ACCEPTED = ("http://h:1", "https://h", "sqlite:///x.db", "postgresql+psycopg2://h/d", "mysql://h/d", "mssql+pyodbc://h/d")
REFUSED = (
    "nope://me:hush@h",
    "databricks",
    "./mlruns",
    "file:///mlruns",
    "localhost:5000",
    "HTTP://h",
    "sqlite:x.db",
    " http://h",
)


@pytest.mark.parametrize("address", [*ACCEPTED, *REFUSED])
def test_an_unusable_address_has_a_problem(address: str):
    problem = problem_with(address)
    assert (problem is None) == (address in ACCEPTED)
    assert problem is None or ("http://, https://, sqlite://, postgresql://" in problem and "hush" not in problem)
