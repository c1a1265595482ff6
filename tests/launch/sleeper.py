"""A rank that sleeps: takes the part of relevance.launch.rank where only its life and death matter."""

import os
import sys
import time
from pathlib import Path

from relevance.launch.orphan import die_with_parent
from relevance.launch.signs import hold

if __name__ == "__main__":
    die_with_parent(int(os.environ["RELEVANCE_PARENT"]))
    hold(Path(sys.argv[1]))
    (Path(sys.argv[1]) / f"pid-{os.environ['RANK']}").write_text(str(os.getpid()))
    time.sleep(60)
