"""Where new heads start and how fast they learn: logits of zero, and a rate that follows the states they read.

One AdamW step of rate r moves each weight by about r, and so a logit w·h + b by up to r (|h|₁ + 1): 113 r under
embedded:llm, 815 r under SmolLM2-135M, 1,699 r under Gemma-3-270m. A fixed rate is timid for one and wild for another.
"""

from dataclasses import replace

import torch
from torch import nn

from relevance.config import ModelConfig
from relevance.model.heads import Head
from relevance.model.network import Network
from relevance.tasks import LABELS

DIGITS = 3  # of the rate: what rounding changes between devices is not in it


def output_layer(head: Head) -> nn.Linear:
    """The layer of a head that writes the logits; it may read what other layers of the head made of the states."""
    return [part for part in head.modules() if isinstance(part, nn.Linear) and part.out_features == len(LABELS)][-1]


def start_heads(network: Network, model: ModelConfig, micro) -> ModelConfig:
    """Put the heads to zero and give the model's settings with `head_lr`, by the states of a micro-batch of rows."""
    silence_heads(network)
    if model.head_lr is not None:
        return model
    return replace(model, head_lr=head_rate(model.head_step, state_norm(network, micro)))


def silence_heads(network: Network) -> None:
    """Put the output layers to zero: every pair starts at one third for each label, a loss of ln 3."""
    for head in network.heads:
        for parameter in output_layer(head).parameters():
            nn.init.zeros_(parameter)


def head_rate(step: float, norm: float) -> float:
    """The rate at which one step moves a logit by about `step`, of states of this `state_norm`."""
    return float(f"{step / norm:.{DIGITS}g}")


def state_norm(network: Network, micro) -> float:
    """How far a rate of one moves a logit: mean |h|₁ of the states [H] that the output layer reads, + 1 for its bias.

    The mean is over the rows of a micro-batch, without dropout.
    """
    training = network.training
    network.eval()
    head, device = network.heads[0], next(network.parameters()).device
    inputs = {name: tensor.to(device) for name, tensor in micro.inputs.items()}
    with torch.no_grad():
        hidden = network.states(inputs, micro.slices).float()
    weights, norms = list(output_layer(head).parameters()), []
    with torch.enable_grad():
        for row in range(len(hidden)):
            logits = head(hidden[row : row + 1], inputs["attention_mask"][row : row + 1])
            gradients = torch.autograd.grad(logits[0, 0], weights)  # of the first logit by its weights: the state
            norms.append(sum(gradient[0].abs().sum() for gradient in gradients))
    network.train(training)
    return float(torch.stack(norms).mean())
