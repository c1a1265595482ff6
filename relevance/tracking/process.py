"""Who holds a run open: this process → tags, of which relevance.alive can tell whether it still does."""

import os
import socket
import time

import psutil


def held_by() -> dict[str, str]:
    """Tags that name this process: a pid alone may be taken again by another."""
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "process_start": f"{psutil.Process().create_time():.2f}",
        "touched": str(time.time_ns()),
    }
