"""Who holds a run open: this process → tags, and back."""

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


def gone(tags: dict[str, str]) -> bool:
    """Whether the process that held a run is no more; one of another host cannot be asked."""
    if tags.get("host") != socket.gethostname():
        return False
    try:
        return f"{psutil.Process(int(tags['pid'])).create_time():.2f}" != tags["process_start"]
    except psutil.NoSuchProcess:
        return True
