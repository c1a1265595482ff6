"""relevance: how should one shared model be told which relevance task it is on?"""

import os
import signal
import sys


def _end(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


# python -m relevance.COMMAND, or the console script: while it imports, Ctrl-C has nothing to end in order.
if (sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0]) == "relevance") and (
    signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, _end)
