"""The paper's grid on real weights, as a user starts it: rates of each family, real decoders and encoders train.

Minutes: make test-packaged
"""

import os
import re
import subprocess
import sys

import pytest
from test_run import ROOT

pytestmark = pytest.mark.skipif("RELEVANCE_PACKAGED" not in os.environ, reason="trains six cells: make test-packaged")


def test_the_grid_of_two_families_trains_on_packaged_backbones_at_the_rates_of_each(tmp_path):
    words = [
        *("-m", "routing=prefix,mh,mhp", "model=llm,ce", "backbones=packaged", "data.rows=240", "trainer.max_epochs=1"),
        *("trainer.max_steps=4", "probes=false", "consistency=false", "save=none", "name=grid"),
        *(f"outputs={tmp_path}/outputs", f"tracking_uri=sqlite:///{tmp_path}/mlflow.db"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "relevance.run", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "6 of 6 cells finished" in done.stderr
    assert "4 optimiser steps are few" in done.stderr
    trained = re.findall(r"trains ([\d,]+) of ([\d,]+) weights: .*; lr ([\d.e-]+), heads ([\d.e-]+)", done.stderr)
    decoders = [line for line in trained if int(line[1].replace(",", "")) > 100_000_000]
    assert len(decoders) == 3
    assert len({line[2] for line in decoders}) == len({line[2] for line in trained} - {decoders[0][2]}) == 1
