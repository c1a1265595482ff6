"""How a process ended: its exit code → words.

-9 → "was killed by SIGKILL (out of memory? the system's log tells)"    3 → "ended with code 3"
"""

import signal

SIGNALS = {one.value: one.name for one in signal.Signals}  # those of real time have no names


def ending(code: int) -> str:
    """What an exit code says, as subprocess gives it: below zero, the number of a signal."""
    if code >= 0:
        return f"ended with code {code}"
    hint = " (out of memory? the system's log tells)" if code == -signal.SIGKILL else ""
    return f"was killed by {SIGNALS.get(-code, f'signal {-code}')}{hint}"
