"""What is logged tells no password, token or key; what only sounds like one stays."""

import sys

import pytest

from relevance import masking
from relevance.masking import know_password, mask_message, mask_settings, mask_uris, mask_words, masked_streams


def test_the_password_of_a_uri_is_not_shown():
    assert mask_uris("postgresql://ana:hunter2@db:5432/runs") == "postgresql://***@db:5432/runs"
    assert mask_uris("no such host: http://a:b@c and http://d:e@f") == "no such host: http://***@c and http://***@f"
    assert mask_uris("sqlite:///a@b/mlflow.db") == "sqlite:///a@b/mlflow.db"
    assert mask_uris("x://db/runs?user=ana&password=hunter2&a=b") == "x://db/runs?user=ana&password=***&a=b"
    assert mask_uris("x://db/runs?password=${oc.env:PASSWORD}") == "x://db/runs?password=${oc.env:PASSWORD}"


def test_values_are_masked_by_what_their_keys_say():
    node = {"hub": {"token": "a", "api_key": "b", "secret": None}, "train": {"token_budget": 5}, "uris": ["x://u:p@h"]}
    assert mask_settings(node) == {
        "hub": {"token": "***", "api_key": "***", "secret": None},
        "train": {"token_budget": 5},
        "uris": ["x://***@h"],
    }


def test_a_command_keeps_its_words_but_for_secrets():
    given = ["-m", "model=llm,ce", "+hub.password=abc", "tracking_uri=x://u:p@h", "api_key=${oc.env:KEY}", "a=b=c"]
    said = ["-m", "model=llm,ce", "+hub.password=***", "tracking_uri=x://***@h", "api_key=${oc.env:KEY}", "a=b=c"]
    assert mask_words(given) == said


@pytest.mark.parametrize(
    "text",
    [
        "http://CANARY@host:5000",
        "http://CANARY:x-oauth-basic@host",
        "postgresql://ana:CAN/AR@Y-CANARY@db/runs",
        "postgresql://ana:${oc.env:PASSWORD,CANARY}@db/runs",
        "tracking_uri=x://db/runs?sslpassword=CAN?CANARY",
        "mssql+pyodbc:///?odbc_connect=DRIVER={ODBC Driver 17};UID=sa;PWD=CANARY",
        "mssql+pyodbc:///?odbc_connect=UID%3Dsa%3BPWD%3DCANARY",
        "https://store/x?sig=CANARY&X-Amz-Signature=CANARY&AWSAccessKeyId=CANARY",
        "python '+hydra.job.env_set={HF_TOKEN: CANARY, B: CANARY}' seed=1",
        "hydra.job.env_set.PGPASSWORD=CANARY",
        "job:\n  env_set:\n    A: CANARY\n    B: CANARY\n  name: x\n",
        "tracking_uri=postgresql:/ana:CANARY@db/runs",
        "tracking_uri=ana:CAN/AR@Y-CANARY@db/runs: unsupported URI 'ana:CANARY@db/runs'",
        "tracking_uri=postgresql://ana:CAN ARY-CANARY@db/runs",
        "host=db user=ana password='CANARY is CANARY' dbname=runs",
        "https://host/page#access_token=CANARY",
        "connect(**{'user': 'ana', 'password': 'CANARY'}), {\"api_key\": \"CANARY\"}",
        "headers: {'Authorization': 'Bearer CANARY'}, Authorization: Basic CANARY",
        "View run a at: http://ana:CANARY@host:5000/#/experiments/1/runs/2",
        "tracking_uri=postgresql://db/runs?options=-c%20password%3DCANARY&sslmode=prefer",
        "cannot open proxy://h/?to=postgresql%3A%2F%2Fana%3ACANARY%40db%2Fruns&a=1",
        "proxy://h/?to=postgresql%253A%252F%252Fana%253ACANARY%2540db",
    ],
)
def test_a_secret_is_known_by_where_it_stands(text):
    assert "CANARY" not in mask_uris(text)
    assert "CANARY" not in " ".join(mask_words([text]))


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://${oc.env:USER}:${oc.env:PASSWORD}@db/runs",
        "http://127.0.0.1:5000/#/experiments/1",
        "models:/relevance@champion, org/name@main, a@b.c: mail, at 12:30 and x=${oc.env:USER}:${oc.env:PASSWORD}@db",
        "{'train': {'token_budget': 5}, 'key': 'a: b'}: the key: pass; http://a/b says: mail a@b",
        "train.token_budget=5: give key=value; ended with code=1",
        "http://h/x?a=%2525&b=c%20d&host=%2Fvar%2Frun; 100%",
    ],
)
def test_what_is_no_secret_is_said_whole(text):
    assert mask_uris(text) == text


def test_a_stream_says_no_secret_whoever_writes_to_it(capsys):
    with masked_streams():
        print("at http://ana:CANARY@host")
        sys.stderr.write("x://db?password=CANARY\n")
    print("x://a:b@c")
    shown = capsys.readouterr()
    assert shown.out == "at http://***@host\nx://a:b@c\n"
    assert shown.err == "x://db?password=***\n"


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(masking, "_pieces", set())
    for password in ("Can/Ary@Part9:x", "plain", "Sign%40Canary", "a@b/cd"):
        know_password(f"postgresql://ana:{password}@db/runs")
    know_password("postgresql://db/runs?user=ana&password=in%40A%2FQuery")
    know_password("postgresql://db/runs?options=-c%20password%3Dnested%2FSign2&a=100%")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("failed to resolve host 'Ary@Part9:x@db'", "failed to resolve host '***@db'"),
        ("cannot connect to 'part9:x@db'; port 'Can'", "cannot connect to '***@db'; port '***'"),
        ('could not translate host name "Canary@db"', 'could not translate host name "***@db"'),
        ("invalid literal: 'b/cd@db'", "invalid literal: '***@db'"),
        ('host "A/Query" of in%40A%2FQuery, in@a/query', 'host "***" of ***, ***'),
        ("invalid value 'nested/sign2'", "invalid value '***'"),
        ("a plain word, a canopy, a partition", "a plain word, a canopy, a partition"),
    ],
)
def test_a_driver_quotes_no_piece_of_a_password(known, capsys, said, shown):
    assert mask_message(said) == shown
    with masked_streams():
        print(said)
    assert capsys.readouterr().out == f"{shown}\n"


def test_a_store_that_a_driver_cannot_reach_shows_no_piece_of_its_password(monkeypatch, tmp_path):
    from sqlalchemy.exc import OperationalError

    from relevance.errors import UserError
    from relevance.tracking import Store

    monkeypatch.setattr(masking, "_pieces", set())
    store = Store("postgresql://ana:Secr@tCanary@db/runs", "relevance", tmp_path)
    failure = OperationalError("SELECT 1", {}, Exception('could not translate host name "tCanary@db" to address'))
    with pytest.raises(UserError, match=r"host name \"\*\*\*@db\" to"), store.reached():
        raise failure
