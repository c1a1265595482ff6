"""The LightningModule of both families: a step of micro-batches in, one optimiser step out; nothing else.

A step is a list of micro-batches; together, over all ranks, they hold the rows the step was given, whatever way they
were cut. Loss, gradient and accuracy are of all those rows, the same on every rank.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.nn import functional

from relevance import distributed
from relevance.cli import echo
from relevance.config import Config, Schedule
from relevance.model.ahead import Seen, Watch
from relevance.model.network import Network
from relevance.tasks import TASK_NAMES

WARMUP = 10  # steps at least: AdamW's first ones are as large as its rate, whatever the gradient
TINY = torch.finfo(torch.float32).tiny  # a step whose rows all weigh nothing teaches nothing


class RelevanceModule(L.LightningModule):
    """Trains a Network on steps of mixed tasks; validates by macro accuracy over the tasks present."""

    def __init__(self, network: Network, config: Config):
        super().__init__()
        self.network, self.config = network, config
        self.automatic_optimization = False  # one step is several backward passes of unequal size
        self.strict_loading = False  # checkpoints hold trained weights only
        self.detours: dict[str, np.ndarray] = {}  # probe: the task whose heads, or branches, a task's rows pass
        self.seen: list[torch.Tensor] = []
        self.watch = Watch()
        self.parts = 1  # that each micro-batch is cut into, where the device lacks memory for it

    def on_fit_start(self) -> None:
        for layer in self.network.modules():
            if isinstance(layer, torch.nn.Embedding):  # a CPU would fill and add the whole table in every pass
                layer.sparse = self.device.type == "cpu"

    def training_step(self, step: list, index: int) -> None:
        optimizer: Any = self.optimizers()
        scheduler: Any = self.lr_schedulers()
        optimizer.zero_grad()
        total = distributed.summed(torch.stack([micro.weights.sum() for micro in step]).sum()).clamp(min=TINY)
        losses = self._losses(step, total)
        for parameter in _trained(optimizer):
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
        distributed.sum_gradients(_trained(optimizer))
        values = torch.stack([distributed.summed(torch.stack(losses).sum()), self._clip(optimizer)])
        self.watch.steps.append(Seen(self.global_step, self.current_epoch, values, [micro.rows for micro in step]))
        if self.watch.due():
            self._check()
        optimizer.step()
        scheduler.step()

    def _losses(self, step: list, total: torch.Tensor) -> list[torch.Tensor]:
        """Shares of a step's loss, their gradients summed; in more parts from now on where memory lacks for them."""
        while True:
            parts = [part for micro in step for part in micro.parts(self.parts)]
            try:
                return [self._backward(part, total) for part in parts]
            except torch.OutOfMemoryError:
                if len(parts) >= sum(len(micro.labels) for micro in step):
                    raise
            self.zero_grad()  # the pass that failed may have left some
            torch.cuda.empty_cache()
            self.parts *= 2
            echo(f"  the device has no room for {len(parts)} micro-batches a step: from now on {2 * len(parts)}")

    def _backward(self, micro: Any, total: torch.Tensor) -> torch.Tensor:
        loss = self._loss(micro) / total
        self.manual_backward(loss)
        return loss.detach()

    def on_validation_start(self) -> None:
        self._check()

    def on_train_end(self) -> None:
        self._check()

    def validation_step(self, micro: Any, index: int) -> None:
        right = micro.logits(self._logits).argmax(-1) == micro.labels
        tasks = torch.cat([torch.full((b - a,), task, device=right.device) for task, a, b in micro.slices])
        self.seen.append(torch.stack([tasks, right.long()], dim=1)[: len(micro.rows)])

    def on_validation_epoch_end(self) -> None:
        tasks, right = distributed.gathered(torch.cat(self.seen)).T
        self.seen.clear()
        scores = {name: right[tasks == k].float().mean() for k, name in enumerate(TASK_NAMES) if (tasks == k).any()}
        self.log_dict({f"validation/{name}/accuracy": score for name, score in scores.items()})
        self.log("validation/macro_accuracy", torch.stack(list(scores.values())).mean(), prog_bar=True)

    def predict_step(self, micro: Any, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Row ids [B] and logits [B, 3], these on their device: who gathers them waits once."""
        return micro.rows, micro.logits(self._logits)[: len(micro.rows)]

    @contextmanager
    def detour(self, **to: np.ndarray) -> Iterator[None]:
        """Within it, rows of task t pass the `heads` or the `branches` of task to[t] (a probe)."""
        self.detours = to
        try:
            yield
        finally:
            self.detours = {}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = torch.optim.AdamW(self.groups(), fused=True)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        share = self.config.train.warmup
        warmup = max(WARMUP, int(steps * share)) if share else 1
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate(steps, warmup))
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check()  # no checkpoint of weights that are no numbers
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in trained}
        checkpoint["parts"] = self.parts
        counts = ("last_epoch", "_step_count")  # rates follow from the step: the rest, a list a group, is made anew
        schedules = checkpoint.get("lr_schedulers", [])
        checkpoint["lr_schedulers"] = [{**{k: rates[k] for k in counts}, "lr_lambdas": []} for rates in schedules]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.parts = checkpoint.get("parts", 1)

    def _logits(self, micro: Any) -> torch.Tensor:
        sent = {part: [(int(to[task]), a, b) for task, a, b in micro.slices] for part, to in self.detours.items()}
        return self.network(micro.inputs, micro.slices, **sent)

    def _loss(self, micro: Any) -> torch.Tensor:
        """Of a row w · CE(label) or, where teachers answer q, w · ((1 - a) CE(label) + a T² CE(q^1/T)) at logits / T.

        T² keeps the soft gradient's size (Hinton et al. 2015); a row without a label has a = 1.
        """
        logits, train = self._logits(micro), self.config.train
        losses = functional.cross_entropy(logits, micro.labels, reduction="none", ignore_index=-1)
        if micro.soft.shape[1]:
            share = torch.where(micro.labels < 0, 1.0, train.teacher_weight)
            losses = (1 - share) * losses + share * soft_loss(logits, micro.soft, train.teacher_temperature)
        return (losses * micro.weights).sum()

    def _check(self) -> None:
        """Log the curves of the steps that were not read so far; FloatingPointError where one has no finite numbers."""
        for seen, (loss, norm) in self.watch.read():
            for logger in self.loggers:
                if (seen.step + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
                    metrics = {"train/loss": loss, "train/gradient_norm": norm, "epoch": seen.epoch}
                    logger.log_metrics(metrics, seen.step)

    def _clip(self, optimizer: Any) -> torch.Tensor:
        limit = self.config.train.clip or float("inf")
        return torch.nn.utils.clip_grad_norm_(_trained(optimizer), limit, foreach=True)

    def groups(self) -> list[dict[str, Any]]:
        model, decay = self.config.model, self.config.train.weight_decay
        rates = {"trunk": model.lr, "adapters": model.lr, "gates": model.gate_lr}
        if self.network.private is not None:
            rates["private"] = self.network.private.rate(model) * self.config.routing.private.lr_factor
        groups = []
        for part, parameters in self.network.parts().items():
            trained = [p for p in parameters if p.requires_grad]
            rate = rates.get(part, model.head_lr)
            matrices, vectors = [p for p in trained if p.dim() > 1], [p for p in trained if p.dim() <= 1]
            groups += [{"params": matrices, "lr": rate, "weight_decay": decay}] if matrices else []
            groups += [{"params": vectors, "lr": rate, "weight_decay": 0.0}] if vectors else []
        return groups

    def _rate(self, steps: int, warmup: int):
        schedule = self.config.train.schedule

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            left = max(0.0, (steps - step) / max(1, steps - warmup))
            if schedule is Schedule.cosine:
                return 0.5 - 0.5 * float(torch.cos(torch.tensor(torch.pi * left)))
            return left if schedule is Schedule.linear else 1.0

        return factor


def soft_loss(logits: torch.Tensor, soft: torch.Tensor, temperature: float) -> torch.Tensor:
    """T² times the cross-entropy [B] of logits [B, 3] / T with the probabilities `soft` [B, 3] softened by T."""
    target = soft.pow(1 / temperature)
    target = target / target.sum(dim=1, keepdim=True)
    return temperature**2 * functional.cross_entropy(logits / temperature, target, reduction="none")


def _trained(optimizer: Any) -> list[torch.nn.Parameter]:
    return [parameter for part in optimizer.param_groups for parameter in part["params"]]


def quiet() -> None:
    """Silence advice of libraries to each other, each for the reason given; all else is shown."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # which devices there are, at every Trainer
    for message in (
        ".*does not have many workers.*",  # batches are cut from memory maps: workers would only copy
        ".*LeafSpec.* is deprecated",  # lightning asks torch by an old name
        ".*is_gradient_checkpointing.* is deprecated",  # peft asks transformers by an old name
        ".*smaller than the logging interval.*",  # a tiny table has no curve worth drawing
        ".*sync_dist=True.*",  # validation is of every rank's rows already
        ".*exists and is not empty.*",  # a cell's own folder, with checkpoints to go on from
        ".*your dataloader is not resumable.*",  # data.batches.Steps yields only the steps that are left
    ):
        warnings.filterwarnings("ignore", message)
