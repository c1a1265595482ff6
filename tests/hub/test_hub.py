"""Each case of docs/backbones.md, tried at a hub on loopback; the page holds what they say."""

import os
import subprocess
import sys
from pathlib import Path

from tests.hub.cases import CASES, SERVED

ROOT = Path(__file__).parents[2]


def test_every_case_ends_as_it_is_meant_to_and_the_page_says_so():
    """In one process of its own: huggingface_hub reads where its hub is as it is imported."""
    command, where = [sys.executable, "-m", "tests.hub", "print"], {**os.environ, "PYTHONPATH": str(ROOT)}
    made = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True, timeout=400, check=False)
    assert made.returncode == 0, made.stderr
    rows = [line.strip("| ").split(" | ") for line in made.stdout.splitlines()[2:]]
    found = {name: (outcome, said) for name, _, outcome, said in rows}
    expected = {case.name: (case.outcome, case.said) for case in CASES}
    assert {name: outcome for name, (outcome, _) in found.items()} == {name: o for name, (o, _) in expected.items()}
    for name, (outcome, said) in found.items():
        assert (said.split(": ", 1)[1] if outcome == SERVED else said).endswith(expected[name][1]), name
    assert made.stdout in (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8"), "make hub-table"
    assert "/tmp" not in made.stdout
