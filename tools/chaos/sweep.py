"""python -m tools.chaos.sweep WORDS: relevance.run, whose workers are tools.chaos.worker."""

import runpy
import sys

from relevance.sweep.launchers import local

if __name__ == "__main__":
    local.WORKER = (sys.executable, "-m", "tools.chaos.worker")
    runpy.run_module("relevance.run", run_name="__main__", alter_sys=True)
