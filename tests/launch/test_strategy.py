"""How many processes a cell of several devices has."""

import pytest
import torch

from relevance.config import TrainerConfig
from relevance.distributed import process_count


@pytest.mark.parametrize(
    ("devices", "accelerator", "count"),
    [(1, "auto", 1), ("2", "cpu", 2), ([0, 3], "gpu", 2), ("auto", "cpu", 1), ("auto", "auto", 8), (-1, "gpu", 8)],
)
def test_a_machine_starts_a_process_for_each_device(monkeypatch, devices, accelerator, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    trainer = TrainerConfig(devices=devices, accelerator=accelerator)
    assert process_count(trainer) == count
