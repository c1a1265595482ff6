"""A rank that sleeps: takes the part of relevance.train.rank where only its life and death matter."""

import os
import sys
import time
from pathlib import Path

from relevance.train.processes import die_with_parent, hold_sign

if __name__ == "__main__":
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))
    hold_sign(Path(sys.argv[1]))
    (Path(sys.argv[1]) / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    time.sleep(60)
