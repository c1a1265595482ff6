"""A mixed batch, and networks whose weights have moved: what tests of models share."""

import torch

from relevance.model.network import Network

MIXED = [(0, 0, 2), (3, 2, 4), (5, 4, 6)]  # of equal size: with a cache, or cut along the wrong dimension, they err
LENGTHS = [9, 3, 7, 9, 2, 5]  # longer than the windows of mistral, gemma and modernbert


def awake(net: Network) -> Network:
    """The same network, every trained weight moved from where it starts."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return net


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(5, 200, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}
