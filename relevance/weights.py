"""Where a network's weights lie, and what they took: network → metrics, and a line for the terminal.

{"params/adapters/trainable": 55808, "params/trunk/total": 1280256, "gate/query_item": 0.12, ...}
"""

import torch

from relevance.model.network import Network
from relevance.model.private.inserted import Gated
from relevance.tasks import TASK_NAMES

KINDS = ("trainable", "total")


def sizes(network: Network) -> dict[str, float]:
    """Weights trained and in all, of each part and of the whole."""
    parts = network.sizes()
    found = {f"params/{part}/{kind}": n for part, two in parts.items() for kind, n in zip(KINDS, two, strict=True)}
    both = [sum(n) for n in zip(*parts.values(), strict=True)]
    return {**found, **{f"params/{kind}": n for kind, n in zip(KINDS, both, strict=True)}}


def spoken(network: Network) -> str:
    """ "trains 59,648 of 1,339,904 weights: adapters 55,808, heads 3,840"."""
    parts = network.sizes()
    trained, total = (sum(n) for n in zip(*parts.values(), strict=True))
    where = ", ".join(f"{part} {n:,}" for part, (n, _) in parts.items() if n)
    return f"trains {trained:,} of {total:,} weights: {where}"


def gates(network: Network) -> dict[str, float]:
    """Mean |g| of the gates of each task's private layers: 0 is closed, as all start."""
    if network.private is None:
        return {}
    branches = network.private.branches
    names = TASK_NAMES if len(branches) > 1 else ("all",)
    return {
        f"gate/{name}": float(torch.stack([block.gate.detach().abs() for block in branch]).mean())
        for name, branch in zip(names, branches, strict=True)
        if isinstance(branch[0], Gated)
    }


def peak_memory() -> dict[str, float]:
    """What tensors took at most on the GPU, in bytes; main memory is the process's, not the cell's."""
    return {"peak_memory_bytes": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {}
