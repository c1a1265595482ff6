"""A sweep's signs of life, while its cells train elsewhere: Run → its tag `pulse`, as relevance.pulse reads it.

with beating(parent): ...    another host that finds the pulse too old knows that the sweep is dead
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterator

from relevance.tracking.run import Run

BEAT = 60.0  # seconds; a tenth of the silence after which relevance.alive takes a run for dead


@contextlib.contextmanager
def beating(run: Run) -> Iterator[None]:
    """Within it the run shows once a minute that its process is there; a store that does not answer misses a beat."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(run, ended), name="heart", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _beat(run: Run, ended: threading.Event) -> None:
    while True:
        with contextlib.suppress(Exception):  # whatever a store raises: the cells say that it does not answer
            run.tags({"pulse": json.dumps({"at": time.time()})})
        if ended.wait(BEAT):
            return
