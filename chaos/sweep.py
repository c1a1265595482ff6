"""python -m chaos.sweep WORDS: relevance.run, whose workers are chaos.worker."""

import runpy
import sys

from relevance.launch import in_turn

if __name__ == "__main__":
    in_turn.WORKER = (sys.executable, "-m", "chaos.worker")
    runpy.run_module("relevance.run", run_name="__main__", alter_sys=True)
