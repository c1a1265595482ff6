"""A derive that is killed leaves nothing that the next one does not clear away."""

import signal
import subprocess
import sys

from tests.derive.derived import TREE, run, written

SLOW = """
import sys, time
from relevance.derive import commands, derive
def stuck(options, database):
    print("there", flush=True)
    time.sleep(60)
derive.STEPS = {"apart": stuck}
derive.derive_pairs(commands.options(sys.argv[1:]))
"""


def test_a_killed_derive_leaves_no_table_and_the_next_clears_up(tmp_path):
    files = written(tmp_path, [("q", "sofa", 2), ("q", "chair", 0)], {"sofa": "sofas", "chair": "chairs"}, TREE)
    output = f"output={tmp_path / 'pairs.parquet'}"
    with subprocess.Popen([sys.executable, "-c", SLOW, *files, output], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"there\n"
        process.send_signal(signal.SIGKILL)
    inputs = {f"{name}.parquet" for name in ("judgements", "items", "taxonomy")}
    left = {path.name for path in tmp_path.iterdir()} - inputs
    assert len(left) == 1  # where the database worked
    assert next(iter(left)).startswith(".")
    run(tmp_path, files)
    assert {path.name for path in tmp_path.iterdir()} - inputs == {"pairs.parquet", "pairs.derive.json"}
