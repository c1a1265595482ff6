"""Completion as a person meets it: an interactive shell on a terminal, a line typed, and the key for completion."""

import os
import pty
import re
import select
import shutil
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALL = "\x1b*"  # readline inserts every completion at once
TAB = "\t"
START, STOP = "\x01", "\x05"  # of the line
READY = 'echo RE""ADY\n'  # quoted: the echo of what is typed does not hold the word
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set enable-bracketed-paste off'"),
    "zsh": (["zsh", "-f", "-i"], "autoload -U compinit; compinit -u -D"),
}


class Terminal:
    """A shell on a pseudo-terminal, with the completion of relevance."""

    def __init__(self, shell: str, folder: Path):
        self.shell = shell
        words, before = SHELLS[shell]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ |= {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "TERM": "dumb"}
            os.execvp(words[0], words)
        self.answer(f'{before}; eval "$(relevance completion {shell})"; {READY}')

    def answer(self, keys: str) -> str:
        """What the terminal shows in the line that ends with READY."""
        os.write(self.terminal, keys.encode())
        shown, until = b"", time.monotonic() + 60
        while b"READY\r\n" not in shown:
            assert time.monotonic() < until, shown.decode()
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 4096)
        return next(line for line in shown.decode().splitlines() if line.endswith("READY"))

    def completed(self, line: str, key: str) -> list[str]:
        """The words of the line after `key` was pressed at its end."""
        return re.findall("<([^<>]*)>", self.answer(f"{line}{key}{START}printf '<%s>' {STOP}; {READY}"))

    def close(self) -> None:
        os.close(self.terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="module", params=SHELLS)
def terminal(request, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp("shell")
    (folder / "relevance").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m relevance "$@"\n')
    (folder / "relevance").chmod(0o755)
    (folder / "flat.csv").touch()
    (folder / "trees").mkdir()
    (folder / "trees" / "pairs.csv").touch()
    terminal = Terminal(request.param, folder)
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("relevance ru", "run"),
        ("relevance data der", "derive"),
        ("relevance run -m routing=no", "routing=none"),
        ("relevance run routing=mhp hydra/launcher=r", "hydra/launcher=ray"),
        ("relevance run +sweep=fac", "+sweep=factorial"),
        ("relevance run model.lora.al", "model.lora.alpha="),
        ("relevance run data=pairs data.path=fla", "data.path=flat.csv"),
        ("relevance run data.path=trees/pa", "data.path=trees/pairs.csv"),
        ("relevance report sweep=a fig", "figures="),
        ("relevance data derive sourc", "source="),
        ("relevance data derive judgements=trees/", "judgements=trees/pairs.csv"),
    ],
)
def test_a_line_goes_on_to_the_only_end_it_can_have(terminal, line, last):
    typed = line.split()[:-1]
    assert terminal.completed(line, TAB) == [*typed, last]


def test_all_options_of_a_group_are_offered(terminal):
    if terminal.shell != "bash":
        pytest.skip("only readline inserts all")
    options = sorted(path.stem for path in (ROOT / "conf" / "routing").glob("*.yaml"))
    assert terminal.completed("relevance run routing=", ALL)[2:] == ["routing=" + options[0], *options[1:]]
