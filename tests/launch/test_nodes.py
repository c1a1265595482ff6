"""Where the ranks of a cell meet, and how many each machine starts."""

import pytest
import torch

from relevance.config import TrainerConfig
from relevance.errors import UserError
from relevance.launch.nodes import NEEDED, follows, rendezvous
from relevance.strategy import processes, several

SLURM = {"SLURM_JOB_ID": "40017", "SLURM_NODEID": "1", "SLURM_JOB_NODELIST": "gpu[02-03,07]"}


def test_one_machine_meets_on_itself_whatever_slurm_says(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert rendezvous(TrainerConfig(devices=4)) == ["--standalone"]
    assert not follows(TrainerConfig(devices=4))


def test_machines_of_a_job_meet_on_its_first_and_the_others_follow(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    trainer = TrainerConfig(devices=4, num_nodes=3)
    assert rendezvous(trainer) == ["--nnodes=3", "--node-rank=1", "--master-addr=gpu02", "--master-port=20017"]
    assert follows(trainer)
    monkeypatch.setenv("SLURM_NODEID", "0")
    assert not follows(trainer)


def test_several_machines_without_slurm_are_refused(monkeypatch):
    for name in NEEDED:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"num_nodes=2: SLURM_JOB_ID, .* not set; several machines are for"):
        rendezvous(TrainerConfig(num_nodes=2))


@pytest.mark.parametrize(
    ("devices", "accelerator", "count"),
    [(1, "auto", 1), ("2", "cpu", 2), ([0, 3], "gpu", 2), ("auto", "cpu", 1), ("auto", "auto", 8), (-1, "gpu", 8)],
)
def test_a_machine_starts_a_process_for_each_device(monkeypatch, devices, accelerator, count):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    trainer = TrainerConfig(devices=devices, accelerator=accelerator)
    assert processes(trainer) == count
    assert several(trainer) == (count > 1)
    assert several(TrainerConfig(devices=1, num_nodes=2))
