"""relevance: how should one shared model be told which relevance task it is on?

sweep = relevance.run_sweep(["routing=mh,mhp", "model=ce"])     # trains what is not finished
relevance.cells(sweep)                                          # a frame: a row for each cell
relevance.load("best").rank("usb c cable", ["red lamp", "Volt USB-C cable"])
"""

import os
import signal
import sys

__version__ = "0.1.0"


def _end(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


# python -m relevance.COMMAND, or the console script: while it imports, Ctrl-C has nothing to end in order.
if (sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0]) == "relevance") and (
    signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _end)

# Behind the handler: Ctrl-C may come as these import.
from relevance.api import SweepFailedError, cells, load, run_sweep, write_report  # noqa: E402
from relevance.errors import UserError  # noqa: E402

__all__ = ["SweepFailedError", "UserError", "cells", "load", "run_sweep", "write_report"]
