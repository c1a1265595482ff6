"""A device that runs ahead is read every few steps; what was wrong meanwhile is named all the same."""

from dataclasses import replace

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from relevance.config import TrainConfig
from relevance.data.pairs_module import Ahead
from relevance.model import ahead
from relevance.model.build import build_network
from relevance.model.module import RelevanceModule
from tools.benchmarks.counted import Counter
from tools.survey.cell import Cell, PrivateKind, settings
from tools.survey.fit import data_module, fit_steps, pairs_table

STEPS = 6


@pytest.fixture
def cell(backbones, monkeypatch):
    """A network, its config and data, on a CPU that passes for a device that runs ahead."""
    monkeypatch.setattr(ahead, "runs_ahead", lambda device: True)
    config = settings(Cell("qwen3", "mh", PrivateKind.inserted), backbones["llm"], STEPS)
    config = replace(config, train=TrainConfig(step_rows=20, token_budget=10_000))
    network, tokenizer = build_network(config)
    return network, config, data_module(config, pairs_table(), tokenizer)


def test_no_number_is_read_between_two_readings(cell):
    network, counts = cell[0], []

    class Counting(Callback):
        def on_train_batch_start(self, *_) -> None:
            self.counter = Counter([*network.parameters()])
            self.counter.__enter__()

        def on_train_batch_end(self, *_) -> None:
            self.counter.__exit__(None, None, None)
            counts.append(self.counter.reads)

    fit_steps(*cell, Counting())
    assert counts == [0] * STEPS


@pytest.mark.parametrize("every", [4, 16])
def test_the_first_bad_step_is_named_with_its_rows_though_it_was_read_later(cell, every, monkeypatch):
    monkeypatch.setattr(ahead, "EVERY", every)
    network, _, data = cell
    steps = [[row for micro in step for row in micro.rows.tolist()] for step in data.train_dataloader()]

    class Spoiling(Callback):
        def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
            if trainer.global_step == 2:
                with torch.no_grad():
                    network.heads[0].classifier.score.weight.fill_(torch.nan)

    with pytest.raises(FloatingPointError, match=r"^loss is nan, gradient_norm is nan at step 2, rows") as end:
        fit_steps(*cell, Spoiling())
    assert end.value.__notes__ == [f"rows of the step: {steps[2]}"]


def test_no_checkpoint_is_made_of_a_step_that_was_not_read(cell):
    network, config, _ = cell
    module = RelevanceModule(network, config)
    module.watch.steps.append(ahead.Seen(7, 0, torch.tensor([1.0, torch.inf]), [torch.arange(3)]))
    with pytest.raises(FloatingPointError, match="gradient_norm is inf at step 7"):
        module.on_save_checkpoint({"state_dict": {}})


def test_a_batch_is_copied_in_one_piece(cell, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    micro = cell[2].sample(9)
    sent = micro.pinned().to(torch.device("cpu"))
    assert torch.equal(sent.rows, micro.rows)
    assert sent.slices == micro.slices
    for ours, theirs in zip(
        [*sent.inputs.values(), sent.labels, sent.weights],
        [*micro.inputs.values(), micro.labels, micro.weights],
        strict=True,
    ):
        assert torch.equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert {part.untyped_storage().data_ptr() for part in [*sent.inputs.values(), sent.labels]} == {
        sent.labels.untyped_storage().data_ptr()
    }


def test_batches_come_in_their_order_and_an_error_of_their_thread_arrives():
    def batch(index: int) -> int:
        return index if index < 5 else 1 // 0

    loader = Ahead(type("Rows", (), {"__getitem__": lambda _, index: batch(index), "__len__": lambda _: 7})(), None)
    taken = iter(loader)
    assert [next(taken) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        next(taken)


def test_a_mask_hides_the_same_whether_it_was_read_or_not(cell):
    network, _, data = cell
    micro = data.sample(9)
    network.eval()
    with torch.no_grad():
        unread = network(micro.inputs, micro.slices)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ahead, "runs_ahead", lambda device: False)
            read = network(micro.inputs, micro.slices)
    assert torch.allclose(unread, read, atol=1e-6)
