"""Where new heads start and how fast they learn: logits near zero, and a rate that follows the states they read.

A head of weights of 0.02 starts MiniLM at logits of 0.03, SmolLM2-135M at 0.9 and Gemma-3-270m at a loss of 2.6. One
AdamW step of rate r moves each weight by about r, and so a logit w·h + b by up to r (|h|₁ + 1): 23 r, 818 r, 1,700 r.
So the weights, and the rate, are divided by what the states make of them.
"""

from dataclasses import replace

import torch
from torch import nn

from relevance.config import ModelConfig
from relevance.model.network import Network
from relevance.tasks import LABELS

SPREAD = 0.05  # root mean square of the first logits: a loss of ln 3. From zero the trunk would learn nothing at first,
# and then from directions that the first rows chose: on words under MiniLM it took twice the steps
DIGITS = 3  # of the rate: what rounding changes between devices is not in it


def start_heads(network: Network, model: ModelConfig, micro) -> ModelConfig:
    """Level the heads, and give the model's settings with `head_lr`, by the states of a micro-batch of rows."""
    logits, reach = _first_logits(network, micro)
    with torch.no_grad():
        for layer in map(output_layer, network.heads):
            layer.weight.mul_(SPREAD / logits.square().mean().sqrt())
            if layer.bias is not None:
                layer.bias.zero_()
    if model.head_step is None:  # then it is head_lr that is given
        return model
    return replace(model, head_lr=float(f"{model.head_step / reach:.{DIGITS}g}"))


def output_layer(head: nn.Module) -> nn.Linear:
    """The layer of a head that writes the logits; it may read what other layers of the head made of the states."""
    return [part for part in head.modules() if isinstance(part, nn.Linear) and part.out_features == len(LABELS)][-1]


def _first_logits(network: Network, micro) -> tuple[torch.Tensor, float]:
    """Logits [B, 3] of new heads without their bias, and how far a rate of one moves them in a step (mean |h|₁ + 1).

    Without dropout. The gradient of a logit by the weights that write it is the state h that they read.
    """
    training = network.training
    network.eval()
    head, device = network.heads[0], next(network.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in micro.inputs.items()}
    with torch.no_grad():
        hidden = network.states(inputs, micro.slices).float()
    layer, logits, reaches = output_layer(head), [], []
    with torch.enable_grad():
        for row in range(len(hidden)):
            row_logits = head(hidden[row : row + 1], inputs["attention_mask"][row : row + 1])[0]
            gradients = torch.autograd.grad(row_logits[0], list(layer.parameters()))
            reaches.append(torch.stack([gradient[0].abs().sum() for gradient in gradients]).sum())
            logits.append(row_logits.detach() - (0 if layer.bias is None else layer.bias.detach()))
    network.train(training)
    return torch.stack(logits), float(torch.stack(reaches).mean())
