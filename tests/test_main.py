"""relevance COMMAND: the list of commands, mistyped names, and each the same as python -m relevance.COMMAND."""

import subprocess
import sys
from pathlib import Path

import pytest

from relevance.__main__ import COMMANDS, COMPLETION

ROOT = Path(__file__).parent.parent
MODULES = [name for name in COMMANDS if name != COMPLETION]


def python(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_alone_it_lists_every_command_in_a_line(words):
    listed = python("-m", "relevance", *words)
    assert (listed.returncode, listed.stderr) == (0, "")
    first = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert first == ["run", "report", "status", "predict", "export", "ensemble", "data", "completion"]
    assert max(map(len, listed.stdout.splitlines())) <= 120


@pytest.mark.parametrize("name", MODULES)
def test_each_command_is_the_module_of_its_name(name):
    script, module = python("-m", "relevance", name, "--help"), python("-m", f"relevance.{name}", "--help")
    assert script.returncode == 0, script.stderr
    assert script.stdout == module.stdout


def test_words_and_exit_codes_are_those_of_the_command():
    script = python("-m", "relevance", "data", "validate", "data.path=no/such.csv")
    module = python("-m", "relevance.data", "validate", "data.path=no/such.csv")
    assert (script.returncode, script.stderr) == (2, module.stderr)
    assert "no/such.csv" in script.stderr


@pytest.mark.parametrize(
    ("name", "hint"),
    [("rnu", "did you mean run? "), ("reprot", "did you mean report"), ("xyzzy", "'xyzzy'; available")],
)
def test_an_unknown_command_is_named_beside_the_near_ones_and_all(name, hint):
    refused = python("-m", "relevance", name)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert hint in refused.stderr
    assert refused.stderr.endswith(f"available: {', '.join(COMMANDS)}\n")
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [(), ("fish",), ("bash", "zsh")])
def test_completion_of_no_known_shell_is_refused(words):
    refused = python("-m", "relevance", "completion", *words)
    assert refused.returncode == 2
    assert "available: bash, zsh" in refused.stderr
