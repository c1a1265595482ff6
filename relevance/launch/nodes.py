"""Where ranks meet: on this machine, or on the first of those that Slurm gave the job.

num_nodes=2, SLURM_NODEID=1 of gpu[01-02] → torchrun --nnodes=2 --node-rank=1 --master-addr=gpu01 --master-port=…
"""

import os

from lightning.fabric.plugins.environments import SLURMEnvironment

from relevance.config import TrainerConfig
from relevance.errors import UserError

PORTS = (20_000, 20_000)  # first, how many: below those the system hands out by itself
NEEDED = ("SLURM_JOB_ID", "SLURM_NODEID", "SLURM_JOB_NODELIST")


def rendezvous(trainer: TrainerConfig) -> list[str]:
    """Arguments of torchrun; UserError where several machines are asked for and Slurm gave none."""
    if trainer.num_nodes == 1:
        return ["--standalone"]
    absent = [name for name in NEEDED if name not in os.environ]
    if absent:
        raise UserError(
            f"trainer.num_nodes={trainer.num_nodes}: {', '.join(absent)} not set; several machines are for "
            "hydra/launcher=slurm, one task on each"
        )
    head = SLURMEnvironment.resolve_root_node_address(os.environ["SLURM_JOB_NODELIST"])
    port = PORTS[0] + int(os.environ["SLURM_JOB_ID"]) % PORTS[1]
    node = os.environ["SLURM_NODEID"]
    return [f"--nnodes={trainer.num_nodes}", f"--node-rank={node}", f"--master-addr={head}", f"--master-port={port}"]


def follows(trainer: TrainerConfig) -> bool:
    """Whether this machine only adds ranks to a cell whose run the first machine holds."""
    return trainer.num_nodes > 1 and os.environ.get("SLURM_NODEID", "0") != "0"
