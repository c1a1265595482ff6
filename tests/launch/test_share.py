"""What a cell takes of a cluster, without one."""

import pytest

from relevance.config import TrainerConfig
from relevance.errors import UserError
from relevance.sweep.launchers.ray import share

EIGHT = (8.0, 64.0)  # GPUs, cores
NONE = (0.0, 2.0)


@pytest.mark.parametrize(
    ("devices", "gpus", "cpus", "there", "expected"),
    [
        ("auto", None, None, EIGHT, (1, 8)),
        (1, 0.5, None, EIGHT, (0.5, 4)),
        (4, None, None, EIGHT, (4, 32)),
        (4, 4, 6, EIGHT, (4, 6)),
        ("auto", 2, None, EIGHT, (2, 16)),
        (1, None, None, NONE, (0, 1)),
        (2, None, None, NONE, (0, 2)),
    ],
)
def test_each_device_has_a_gpu_and_its_share_of_the_cores(devices, gpus, cpus, there, expected):
    assert share(TrainerConfig(devices=devices), gpus, cpus, there) == expected


def test_a_cell_of_the_cpu_leaves_the_gpus_alone():
    assert share(TrainerConfig(accelerator="cpu", devices=1), None, None, EIGHT) == (0, 1)


@pytest.mark.parametrize(("devices", "gpus"), [(4, 0.5), (4, 2), (1, 2), ("auto", 1.5)])
def test_devices_that_would_share_or_miss_a_gpu_are_refused(devices, gpus):
    with pytest.raises(UserError, match=rf"gpus_per_cell={gpus} .*devices={devices}: leave gpus_per_cell out"):
        share(TrainerConfig(devices=devices), gpus, None, EIGHT)


@pytest.mark.parametrize(("devices", "gpus", "cpus"), [(4, None, None), (1, 1, None), (1, None, 4)])
def test_what_would_wait_for_ever_is_refused(devices, gpus, cpus):
    with pytest.raises(UserError, match="no cell would ever start"):
        share(TrainerConfig(devices=devices), gpus, cpus, NONE)
