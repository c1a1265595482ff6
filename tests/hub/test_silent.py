"""A hub that takes connections and never answers is named soon, and given up."""

from contextlib import closing
from socket import socket

import pytest
from huggingface_hub import constants

from relevance.errors import UserError
from relevance.model import hub


@pytest.mark.parametrize("call", [hub.resolve_commit, hub.fetch_card])
def test_a_hub_that_never_answers_is_named_and_given_up(monkeypatch, capsys, tmp_path, call):
    with closing(socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(hub, "SILENCE", 0.1)
        monkeypatch.setattr(hub, "GIVEN_UP", 0.5)
        with pytest.raises(UserError, match=rf"{address} does not answer; look at the network and at HF_ENDPOINT"):
            call("org/tiny", None)
    assert f"org/tiny: still waiting for an answer of {address}" in capsys.readouterr().err
