"""What this machine's processor can, and which cells of a sweep make no use of it.

{"avx512f", "avx512_bf16", ...}, cells in 32-true here → "; trainer.precision=bf16-mixed trains about twice as fast ..."
"""

import socket
from functools import cache
from pathlib import Path

from relevance.records import Standing

CPUINFO = Path("/proc/cpuinfo")
HALF = ("amx_bf16", "avx512_bf16")  # products of bfloat16 at twice the rate of float32 and more


@cache
def flags() -> frozenset[str]:
    """What the first processor says it can; nothing where the system does not tell."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.is_file() else []
    return frozenset(next((line.split() for line in lines if line.startswith("flags")), ()))


def hint(standing: Standing) -> str:
    """The rest of a line, where cells were trained here in float32 and this processor is faster in bfloat16; or ""."""
    able = next((flag for flag in HALF if flag in flags()), None)
    here = socket.gethostname()
    slow = [one for one in standing.cells if one.newest and one.newest.tags.get("host") == here]
    if not able or not any(one.cell.precision == "32-true" for one in slow):
        return ""
    return f"; trainer.precision=bf16-mixed trains about twice as fast as 32-true on this processor ({able})"
