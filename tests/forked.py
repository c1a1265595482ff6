"""A command of the project in a fork of this process, whose imports are paid: as `python -m`, without its seconds."""

import os
import runpy
import subprocess
import sys
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent


def start(output: Path, *words: str, **environment: str) -> int:
    """Begin `python -m WORDS`, what it says going to `output`; returns its process id."""
    return _begin((output, output), words, environment)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """`python -m WORDS` to its end; files of what it says are left in `folder`."""
    places = folder / "stdout", folder / "stderr"
    code = wait(_begin(places, words, {}))
    return subprocess.CompletedProcess(words, code, *(place.read_text() for place in places))


def _begin(places: tuple[Path, Path], words: tuple[str, ...], environment: dict[str, str]) -> int:
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        for place in places:  # of an earlier command
            place.unlink(missing_ok=True)
        for number, place in enumerate(places, 1):
            with place.open("a") as file:
                os.dup2(file.fileno(), number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
        os.chdir(ROOT)
        os.environ.update(environment)
        sys.argv = [*words]
        warnings.simplefilter("ignore")  # as errors, they are for tests
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def wait(process: int) -> int:
    """Its exit code, below 0 for the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
