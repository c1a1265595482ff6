"""The project's worker, with the faults that CHAOS names: {"llm-mh": "leave"} → that cell meets it at step 5."""

import ctypes
import json
import os
import signal
import sys
from unittest.mock import patch

STEP = 5  # after two checkpoints, within an epoch


def exception() -> None:
    raise RuntimeError("a fault of the campaign")


def leave() -> None:
    sys.exit(3)


def memory() -> None:
    raise MemoryError


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    ctypes.string_at(0)


def stopped() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


FAULTS = {fault.__name__: fault for fault in (exception, leave, memory, killed, crash, stopped)}


def disturb() -> None:
    """From now on a cell that CHAOS names meets its fault, once."""
    faults = json.loads(os.environ.get("CHAOS", "{}"))
    if faults:
        from relevance.model.module import RelevanceModule

        step = RelevanceModule.training_step

        def disturbed(module, micros, index) -> None:
            config = module.config
            fault = faults.get(f"{config.model.name}-{config.routing.name}")
            if fault and module.global_step == STEP:
                if fault == "nan":
                    next(module.parameters()).data.fill_(float("nan"))
                else:
                    FAULTS[fault]()
            step(module, micros, index)

        patch.object(RelevanceModule, "training_step", disturbed).start()


def main() -> None:
    """Work as relevance.sweep.launchers.local does."""
    disturb()
    from relevance.sweep.launchers.local import main as work

    work()


if __name__ == "__main__":
    main()
