"""python -m tools.chaos.sweep WORDS: relevance.run with the faults of tools.chaos.worker, which is its worker."""

import runpy
import sys

from relevance.sweep.launchers import local
from tools.chaos.worker import disturb

if __name__ == "__main__":
    local.WORKER = (sys.executable, "-m", "tools.chaos.worker")
    disturb()  # of isolate=false
    runpy.run_module("relevance.run", run_name="__main__", alter_sys=True)
