"""python -m tests.hub.commands: commands of the project as a user of HF_ENDPOINT types them, each in a fork.

stdin: ["predict.txt", "1", "relevance.predict", "cells=…"], a line each: output, HF_HUB_OFFLINE, words → its exit code
"""

import json
import sys
from pathlib import Path

import huggingface_hub

import relevance.export.__main__
import relevance.predict.scorer
import relevance.sweep.attempt
import relevance.sweep.sweep  # noqa: F401  # and all they take along, once for all forks
from tests import forked

for line in sys.stdin:
    output, offline, *words = json.loads(line)
    huggingface_hub.constants.HF_HUB_OFFLINE = offline == "1"  # which is read as it is imported
    print(forked.wait(forked.start(Path(output), *words, HF_HUB_OFFLINE=offline)), flush=True)
