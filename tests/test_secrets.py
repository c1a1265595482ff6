"""What is logged tells no password, token or key; what only sounds like one stays."""

from relevance.config_io import mask_settings, mask_uris, mask_words


def test_the_password_of_a_uri_is_not_shown():
    assert mask_uris("postgresql://ana:hunter2@db:5432/runs") == "postgresql://ana:***@db:5432/runs"
    assert mask_uris("no such host: http://a:b@c and http://d:e@f") == "no such host: http://a:***@c and http://d:***@f"
    assert mask_uris("sqlite:///a@b/mlflow.db") == "sqlite:///a@b/mlflow.db"
    assert mask_uris("x://db/runs?user=ana&password=hunter2&a=b") == "x://db/runs?user=ana&password=***&a=b"
    assert mask_uris("x://db/runs?password=${oc.env:PASSWORD}") == "x://db/runs?password=${oc.env:PASSWORD}"


def test_values_are_masked_by_what_their_keys_say():
    node = {"hub": {"token": "a", "api_key": "b", "secret": None}, "train": {"token_budget": 5}, "uris": ["x://u:p@h"]}
    assert mask_settings(node) == {
        "hub": {"token": "***", "api_key": "***", "secret": None},
        "train": {"token_budget": 5},
        "uris": ["x://u:***@h"],
    }


def test_a_command_keeps_its_words_but_for_secrets():
    given = ["-m", "model=llm,ce", "+hub.password=abc", "tracking_uri=x://u:p@h", "api_key=${oc.env:KEY}", "a=b=c"]
    said = ["-m", "model=llm,ce", "+hub.password=***", "tracking_uri=x://u:***@h", "api_key=${oc.env:KEY}", "a=b=c"]
    assert mask_words(given) == said
