"""How private layers start: what makes a network with them answer, at first, as it would without.

Inserted blocks of llama → "silenced projections", of gemma2 → "silenced norms", of bert → "closed gate"
"""

from relevance.model.architectures import output_norms
from relevance.model.private.inserted import Gated
from relevance.model.private.layers import PrivateLayers
from relevance.model.private.lora import TaskLora
from relevance.model.private.top import Top


def start(private: PrivateLayers | None) -> str:
    """In two words; "" for a network without private layers."""
    if private is None:
        return ""
    if isinstance(private, Top):
        return "copied weights"
    if isinstance(private, TaskLora):
        return "B = 0"
    block = private.branches[0][0]
    if isinstance(block, Gated):
        return "closed gate"
    return "silenced norms" if output_norms(block) else "silenced projections"
