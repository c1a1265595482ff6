"""What every kind of private layers has: branches, and the slices of the batch that is passing through."""

from torch import nn

from relevance.model.private.slices import Slices


class PrivateLayers(nn.Module):
    """Abstract. `branches[task]` holds the modules of one task; kind=shared has one branch for all.

    `slices` is set before each forward pass; a checkpointed block reads them again in the backward pass that follows.
    """

    def __init__(self, branches: nn.ModuleList):
        super().__init__()
        self.branches = branches
        self.slices: Slices = []

    def gates(self) -> list[nn.Parameter]:
        """Parameters that open from zero, at a rate of their own."""
        return []
