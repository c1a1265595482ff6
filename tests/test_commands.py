"""What commands say at the terminal stops no work, whether or not somebody reads it; what they are told."""

import subprocess
import sys

import pytest

from relevance.cli import parse
from relevance.errors import UserError
from relevance.predict.__main__ import Options

TALKS = "from relevance.cli import echo\nfor _ in range(9): echo('x' * 9999)\nraise SystemExit(7)"


@pytest.mark.parametrize("place", ["a closed pipe", "a full disk"])
def test_words_that_nobody_can_read_end_nothing(place):
    if place == "a full disk":
        with open("/dev/full", "w") as full:
            assert subprocess.run([sys.executable, "-c", TALKS], stderr=full).returncode == 7
        return
    with subprocess.Popen([sys.executable, "-c", TALKS], stderr=subprocess.PIPE) as process:
        process.stderr.close()
        assert process.wait(60) == 7


def test_a_list_of_names_that_have_brackets_says_how_they_are_quoted():
    with pytest.raises(UserError, match="in a list quote a name that has brackets"):
        parse(Options, ["cells=[ce-mh[lr=1]-joint-s0,B]"])
    assert parse(Options, ["cells=['ce-mh[lr=1]-joint-s0',B]"]).cells == ["ce-mh[lr=1]-joint-s0", "B"]
    assert parse(Options, ["cells=ce-mh[lr=1]-joint-s0"]).cells == "ce-mh[lr=1]-joint-s0"
