"""Small networks of architectures, made once: making them is what takes the time; their rows and gradients."""

import os

import torch
from networks import batch
from torch.nn import functional

from relevance.config import Config, Family, LoraConfig, ModelConfig, PrivateConfig, PrivateKind, RoutingConfig
from relevance.model.build import build_network
from relevance.model.network import Network
from tools.survey.architectures import DECODERS, ENCODERS

# A block of each form; make test-rest runs every architecture of the table.
FORMS = ("bert", "deberta-v2", "modernbert", "llama", "qwen3", "gemma2", "gpt2", "gpt_neox")
ALL = [name for name in (*ENCODERS, *DECODERS) if name in FORMS or "RELEVANCE_ARCHITECTURES" in os.environ]
BUILT: dict[str, tuple[Network, object, dict]] = {}  # by config, with the weights it starts from


def cell(folders, architecture: str, kind: str | None, layers: int = 2) -> Config:
    """A cell of `mhp` with private layers of `kind`; of `mh` where that is None."""
    family = Family.ce if architecture in ENCODERS else Family.llm
    own = PrivateConfig(PrivateKind(kind), layers) if kind else PrivateConfig()
    return Config(
        model=ModelConfig(
            name=architecture,
            family=family,
            backbone=str(folders[architecture]),
            lora=LoraConfig(r=4 if family is Family.llm else 0),
        ),
        routing=RoutingConfig("mhp" if kind else "mh", heads=True, private=own),
    )


def kinds(architecture: str) -> list[str]:
    return [kind for kind in PrivateKind if kind != "lora" or architecture in DECODERS]


def network(config: Config) -> Network:
    torch.manual_seed(3)
    return build_network(config)[0].eval()


def built(config: Config) -> tuple[Network, object]:
    """The same network and its tokenizer, its weights put back: for tests that change nothing else of it."""
    if (name := repr(config)) not in BUILT:
        torch.manual_seed(3)
        net, tokenizer = build_network(config)
        weights = {key: value.clone() for key, value in net.state_dict().items()}
        BUILT[name] = net.eval(), tokenizer, weights
    net, tokenizer, weights = BUILT[name]
    net.load_state_dict(weights)
    net.zero_grad()
    torch.manual_seed(3)
    return net, tokenizer


def without_dropout(net: Network) -> None:
    """Rates to zero, wherever they stand: as a module or as a number of an attention."""
    for module in net.modules():
        for name in ("p", "dropout", "attention_dropout", "attn_dropout", "dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)


def rows(a: int, b: int) -> dict[str, torch.Tensor]:
    return {name: tensor[a:b] for name, tensor in batch().items()}


def loss(logits: torch.Tensor, first: int = 0) -> torch.Tensor:
    labels = torch.tensor([0, 1, 2, 0, 1, 2])[first : first + len(logits)]
    return functional.cross_entropy(logits, labels, reduction="sum")


def gradients(module: torch.nn.Module) -> torch.Tensor:
    """All gradients of a module in one vector, zeros where none came."""
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters() if p.requires_grad]
    return torch.cat([grad.flatten() for grad in found]).clone()
