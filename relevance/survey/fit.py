"""A real fit: Lightning's Trainer and our module, for so many steps, leaving no file.

config.trainer.max_steps=24, 160 rows in steps of 40 → six epochs
"""

from dataclasses import asdict

import lightning as L
from lightning.pytorch.callbacks import Callback

from relevance.config import Config
from relevance.data.module import PairsModule
from relevance.model.module import RelevanceModule, quiet
from relevance.model.network import Network


def fit(network: Network, config: Config, data: PairsModule, *callbacks: Callback) -> None:
    """Train in place, as `config.trainer` says, on the training rows of `data`."""
    quiet()
    trainer = L.Trainer(
        **{key: value for key, value in asdict(config.trainer).items() if value is not None},
        callbacks=list(callbacks),
        limit_val_batches=0,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(RelevanceModule(network.train(), config), datamodule=data)
