"""python -m relevance.train.agent PARENT FOLDER: torchrun, in a process that ends with PARENT.

FOLDER/job.json, FOLDER/torchrun.json (its arguments) → FOLDER/failed.json, {"1": -9}: rank → exit code, where some did
"""

import json
import os
import shutil
import sys
from pathlib import Path

from relevance.train.processes import die_with_parent, hold_sign


def main(parent: int, folder: Path) -> None:
    die_with_parent(parent)
    hold_sign(folder)
    import logging

    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.CRITICAL)  # the process that waits for this one prints the reason
    os.environ["RELEVANCE_PARENT"] = str(os.getpid())
    try:
        run(parse_args(json.loads((folder / "torchrun.json").read_text())))
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        (folder / "failed.json").write_text(json.dumps(codes))
        raise SystemExit(1) from None
    except SignalException as signal:  # the ranks are ended by now
        if os.getppid() != parent:
            shutil.rmtree(folder, ignore_errors=True)  # nobody else will
        raise SystemExit(128 + signal.sigval) from None


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
