"""The optimiser step: the same whatever way its rows were cut, with the rates and weights the config states."""

import json

import lightning as L
import numpy as np
import pytest
import torch

from relevance.config import (
    Config,
    Family,
    LoraConfig,
    ModelConfig,
    PrivateConfig,
    RoutingConfig,
    Schedule,
    TrainConfig,
)
from relevance.data.batches import Examples, StepDataset
from relevance.data.tokens import Tokens
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule, quiet

LENGTHS = np.array([4, 9, 6, 12, 5, 7, 11, 3])


def settings(backbones, kind="ce", **train) -> Config:
    family = Family.llm if kind == "llm" else Family.ce
    return Config(
        model=ModelConfig(
            family=family,
            backbone=str(backbones[kind]),
            lora=LoraConfig(r=4 if kind == "llm" else 0),
            lr=1e-3,
            head_lr=2e-3,
            private_lr=3e-3,
            gate_lr=4e-3,
            max_length=64,
        ),
        routing=RoutingConfig("mhp", heads=True, private=PrivateConfig(layers=1)),
        train=TrainConfig(**train),
    )


def step(budget: int, weights=None) -> list:
    random = np.random.default_rng(0)
    tokens = Tokens(random.integers(5, 200, LENGTHS.sum()), np.concatenate([[0], LENGTHS.cumsum()]), LENGTHS // 2, 0.0)
    weights = np.ones(8) if weights is None else np.array(weights)
    examples = Examples(tokens, np.array([0, 3, 3, 1, 0, 5, 1, 3]), np.arange(8) % 3, weights, 0, segments=False)
    return StepDataset(examples, budget)[np.arange(8)]


def gradient(config: Config, micros: list, prepare=lambda module: None) -> torch.Tensor:
    """The gradient that one training step of rate 0 leaves behind; the Trainer around it is left out."""
    torch.manual_seed(0)
    module = RelevanceModule(build_network(config)[0].eval(), config)
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.0)
    module.optimizers, module.lr_schedulers = lambda: optimizer, lambda: torch.optim.lr_scheduler.ConstantLR(optimizer)
    module.manual_backward, module.log_dict = lambda loss: loss.backward(), lambda metrics: None
    prepare(module)
    module.training_step(micros, 0)
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("kind", ["llm", "ce", "bert"])
def test_a_step_has_one_gradient_however_it_was_cut(backbones, kind):
    config = settings(backbones, kind, clip=0)
    whole, cut = step(10_000), step(14)
    assert (len(whole), len(cut)) == (1, 6)
    assert torch.allclose(gradient(config, whole), gradient(config, cut), atol=1e-6)


def test_a_step_that_finds_no_room_is_cut_again_and_stays_so(backbones, monkeypatch, capsys):
    config, sizes, loss = settings(backbones, "llm", clip=0), [], RelevanceModule._loss
    whole = gradient(config, step(10_000))

    def crowded(self, micro):
        sizes.append(len(micro.rows))
        half = loss(self, micro)
        if len(micro.rows) > 2:
            half.backward()  # what was summed before memory ran out is forgotten
            raise torch.OutOfMemoryError
        return half

    monkeypatch.setattr(RelevanceModule, "_loss", crowded)
    assert torch.allclose(gradient(config, step(10_000)), whole, atol=1e-6)
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert capsys.readouterr().err.count("no room") == 2
    module = RelevanceModule(build_network(config)[0], config)
    module.parts = 4
    module.on_save_checkpoint(state := {"state_dict": {}})
    module.parts = 1
    module.on_load_checkpoint(state)
    assert module.parts == 4


def test_a_row_that_alone_finds_no_room_is_an_error(backbones, monkeypatch):
    def full(self, micro):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(RelevanceModule, "_loss", full)
    with pytest.raises(torch.OutOfMemoryError):
        gradient(settings(backbones, "llm"), step(10_000))


def test_rows_that_find_no_room_are_scored_in_halves_in_their_order():
    def crowded(micro):
        if len(micro.rows) > 2:
            raise torch.OutOfMemoryError
        sizes.append(len(micro.rows))
        return torch.stack([micro.rows, micro.labels], dim=1)

    sizes, (micro,) = [], step(10_000)
    assert torch.equal(micro.logits(crowded), torch.stack([micro.rows, micro.labels], dim=1))
    assert sizes == [2, 2, 2, 2]


@pytest.mark.parametrize("kind", ["ce", "bert"])
def test_embeddings_have_the_same_gradient_sparse_or_not(backbones, kind):
    def started(module):
        module.on_fit_start()
        assert any(layer.sparse for layer in module.modules() if isinstance(layer, torch.nn.Embedding))

    config = settings(backbones, kind, clip=0)
    assert torch.allclose(gradient(config, step(14), started), gradient(config, step(14)), atol=1e-6)


def test_the_gradient_is_clipped_to_its_norm(backbones):
    assert gradient(settings(backbones, clip=0), step(50)).norm() > 0.02
    assert gradient(settings(backbones, clip=0.01), step(50)).norm() == pytest.approx(0.01, rel=1e-3)


def test_a_gradient_that_is_not_finite_stops_the_step_before_the_weights_move(backbones, monkeypatch):
    monkeypatch.setattr(torch.optim.SGD, "step", lambda *_: pytest.fail("the weights moved"))
    monkeypatch.setattr(RelevanceModule, "_clip", lambda *_: torch.tensor(torch.inf))
    with pytest.raises(FloatingPointError, match=r"^gradient_norm is inf at step 0, rows .* and 0 more; lower") as end:
        gradient(settings(backbones), step(10_000))
    assert sorted(json.loads(end.value.__notes__[0].removeprefix("rows of the step: "))) == list(range(8))


def test_a_row_of_weight_two_counts_as_two_rows(backbones):
    config = settings(backbones, clip=0)
    doubled = step(10_000, [1, 1, 1, 2, 1, 1, 1, 1])
    once, extra = step(10_000), step(10_000, [0, 0, 0, 1, 0, 0, 0, 0])
    mean = (8 * gradient(config, once) + gradient(config, extra)) / 9
    assert torch.allclose(gradient(config, doubled), mean, atol=1e-6)


def test_a_step_whose_rows_weigh_nothing_teaches_nothing(backbones):
    left = gradient(settings(backbones), step(60, weights=[0] * 8))
    assert torch.equal(left, torch.zeros_like(left))


@pytest.mark.parametrize(("kind", "parts"), [("llm", {1e-3, 2e-3, 3e-3}), ("bert", {1e-3, 2e-3, 3e-3, 4e-3})])
def test_each_part_learns_at_its_own_rate_and_vectors_do_not_decay(backbones, kind, parts):
    config = settings(backbones, kind)
    groups = RelevanceModule(build_network(config)[0], config).groups()
    assert {group["lr"] for group in groups} == parts
    for group in groups:
        assert {p.dim() > 1 for p in group["params"]} == {group["weight_decay"] > 0}


@pytest.mark.parametrize("schedule", list(Schedule))
def test_the_rate_warms_up_then_follows_its_schedule(backbones, schedule):
    config = settings(backbones, schedule=schedule)
    rate = RelevanceModule(build_network(config)[0], config)._rate(steps=100, warmup=10)
    assert rate(0) == pytest.approx(0.1)
    assert rate(9) == pytest.approx(1.0)
    middle, end = {"linear": (0.5, 0.0), "cosine": (0.5, 0.0), "constant": (1.0, 1.0)}[schedule.value]
    assert rate(55) == pytest.approx(middle)
    assert rate(100) == pytest.approx(end)


def test_a_checkpoint_holds_trained_weights_only(backbones):
    config = settings(backbones, "llm")
    module = RelevanceModule(build_network(config)[0], config)
    checkpoint = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    kept = checkpoint["state_dict"]
    assert set(kept) == {name for name, p in module.named_parameters() if p.requires_grad}
    assert len(kept) < len(module.state_dict())


def test_the_rate_goes_on_from_a_checkpoint_whose_weights_stood_in_other_groups(backbones):
    config = settings(backbones)
    module = RelevanceModule(build_network(config)[0], config)

    def scheduled(groups: int) -> torch.optim.lr_scheduler.LambdaLR:
        weights = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.5} for _ in range(groups)]
        return torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD(weights), module._rate(steps=100, warmup=10))

    before, after = scheduled(2), scheduled(3)
    for _ in range(40):
        before.optimizer.step()
        before.step()
    checkpoint = {"state_dict": {}, "lr_schedulers": [before.state_dict()]}
    module.on_save_checkpoint(checkpoint)
    after.load_state_dict(checkpoint["lr_schedulers"][0])
    for one in (before, after):
        one.optimizer.step()
        one.step()
    assert after.get_last_lr() == [before.get_last_lr()[0]] * 3


def test_lightning_trains_it_and_tasks_that_never_came_keep_their_private_layers(backbones):
    config = settings(backbones)
    network, _ = build_network(config)
    before = {name: p.clone() for name, p in network.named_parameters()}
    module = RelevanceModule(network, config)
    trainer = L.Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    quiet()
    loaders = [
        torch.utils.data.DataLoader(part, batch_size=None, collate_fn=_as_it_is) for part in ([step(20)] * 3, step(20))
    ]
    trainer.fit(module, *loaders)
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    assert any(name.startswith("trunk.") for name in moved)
    for task in range(6):
        own = any(name.startswith((f"private.branches.{task}.", f"heads.{task}.")) for name in moved)
        assert own == (task in (0, 1, 3, 5))


def _as_it_is(part):
    return part
