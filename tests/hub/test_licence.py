"""The model card of an exported cell names the licence that its backbone's own card has on the hub."""

from dataclasses import replace

import pytest
from huggingface_hub import constants
from small_sweep import record

from relevance.export.card import card
from tests.hub.server import Hub

REPOSITORIES = {  # what lies there → what the card says
    "org/mit": ({"README.md": b"---\nlicense: mit\nlanguage: en\n---\n# Tiny"}, "mit"),
    "org/own": ({"README.md": b"---\r\nlicense: other\r\nlicense_name: llama3.2\r\n---\r\n"}, "other, llama3.2"),
    "org/two": ({"README.md": b"---\nlicense: [mit, apache-2.0]\n---\n"}, "mit, apache-2.0"),
    "org/mute": ({"README.md": b"---\nlanguage: en\n---\n# Tiny"}, "unknown"),
    "org/bare": ({"config.json": b"{}"}, "unknown"),
    "org/gone": (None, "unknown"),
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with Hub() as hub:
        template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield hub


@pytest.fixture
def licence(trained_cell):
    """What the card of a cell says where its backbone is this repository of the hub."""
    config = trained_cell("ce", "mh")
    model = record(config).cells[0].files.model

    def of(name: str, revision: str | None = None) -> str:
        text = card(
            model, replace(config, model=replace(config.model, backbone=name, revision=revision)), "item_type", "", ""
        )
        at = f" at {revision}" if revision else ""
        return text.split(f"- backbone: {name}{at}; licence: ")[1].strip()

    return of


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_card_names_the_licence_of_the_backbones_card(hub, licence, name):
    files, said = REPOSITORIES[name]
    if files is not None:
        hub.repository(name, files)
    assert licence(name) == said


def test_it_is_the_licence_of_the_commit_and_unknown_without_a_network(hub, licence, monkeypatch):
    repository = hub.repository("org/moved", {"README.md": b"---\nlicense: gemma\n---\n"})
    old = repository.refs["main"]
    new = repository.push({"README.md": b"---\nlicense: mit\n---\n"})
    assert [licence("org/moved", sha) for sha in (old, new, old)] == ["gemma", "mit", "gemma"]
    assert hub.asked.count(f"GET /org/moved/resolve/{old}/README.md") == 1
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert licence("org/other", old) == "unknown"
