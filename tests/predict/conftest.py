"""The command around the models: it runs here with a stand-in that reads lengths."""

import sys
from types import SimpleNamespace

import pytest
from stand_in import Lengths

from relevance.cli import run_command
from relevance.config import Config
from relevance.predict.__main__ import predict


@pytest.fixture
def cells(tmp_path, monkeypatch):
    """Three model folders for the stand-in."""
    monkeypatch.setitem(sys.modules, "relevance.predict.scorer", SimpleNamespace(Scorer=Lengths))
    monkeypatch.setattr(Lengths, "seen", [], raising=False)
    monkeypatch.setattr(Lengths, "config", Config())
    for shift in range(3):
        (tmp_path / f"{shift}").mkdir()
        (tmp_path / f"{shift}" / "template.json").touch()
    return [str(tmp_path / f"{shift}") for shift in range(3)]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command on these words; its stdout, stderr and exit code."""

    def running(*words):
        monkeypatch.setattr(sys, "argv", ["predict", *map(str, words)])
        code = 0
        try:
            run_command(predict)
        except SystemExit as end:
            code = end.code
        return (*capsys.readouterr(), code)

    return running
