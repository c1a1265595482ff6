"""Settings of the Ray launcher that cannot be, without a cluster."""

import socket

import pytest

from relevance.errors import UserError
from relevance.sweep.launchers.ray import RayOptions, knock


@pytest.mark.parametrize(
    ("name", "value"),
    [("gpus_per_cell", -1.0), ("cpus_per_cell", -1.0), ("cpus_per_cell", float("nan")), ("retries", -2)],
)
def test_less_than_nothing_is_refused_before_a_cluster_starts(name, value):
    with pytest.raises(UserError, match=rf"hydra.launcher.{name}={value}: give 0 or more"):
        RayOptions(**{name: value})


@pytest.mark.parametrize("settings", [{}, {"gpus_per_cell": 0.0, "cpus_per_cell": 0.5}, {"retries": -1}])
def test_what_ray_can_do_is_taken(settings):
    assert RayOptions(**settings)


def test_an_address_at_which_nothing_listens_is_known_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        knock(address)
    with pytest.raises(OSError, match="refused"):
        knock(address)
    for other in (None, "auto", "ray://no.such.host:10001"):
        knock(other)
