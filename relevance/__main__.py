"""relevance COMMAND [words]: the console script, and python -m relevance. Imports no torch.

relevance report sweep=nightly → python -m relevance.report sweep=nightly
"""

import os
import runpy
import sys
from pathlib import Path

from relevance.cli import run_command
from relevance.errors import UserError, did_you_mean

COMPLETION = "completion"
SHELLS = ("bash", "zsh")
COMMANDS = {
    "run": "train cells, each a model x routing x task mix x seed; skips those that are finished",
    "report": "write the newest sweep as a page, tables and figures",
    "status": "show where the newest sweep stands, as a live table",
    "predict": "score a file of pairs with trained cells",
    "export": "write a trained cell as plain Hugging Face folders",
    "ensemble": "let the finished cells of a sweep vote",
    "data": "derive, validate, audit, sample and generate pairs",
    COMPLETION: 'print the completion script of bash or zsh: eval "$(relevance completion bash)"',
}
LISTED = "\n".join(f"  {name:<10}  {line}" for name, line in COMMANDS.items())
USAGE = f"""usage: relevance COMMAND [key=value ...]

{LISTED}

COMMAND --help lists its keys; relevance run is python -m relevance.run, and so on"""


def script() -> None:
    """The console script: no module comes from the folder where it is called, in the processes of cells neither."""
    os.environ["PYTHONSAFEPATH"] = "1"
    main()


def main() -> None:
    """Run the command line; exits with the code of its command, 2 for an unknown one."""
    name, words = (sys.argv[1:2] or ["--help"])[0], sys.argv[2:]
    if name in COMMANDS and name != COMPLETION:
        sys.argv[1:] = words
        runpy.run_module(f"relevance.{name}", run_name="__main__", alter_sys=True)
    else:
        run_command(lambda: print(_answer(name, words)))


def _answer(name: str, words: list[str]) -> str:
    """What is printed without a command; UserError for an unknown one."""
    if name in ("--help", "-h"):
        return USAGE
    if name != COMPLETION:
        raise UserError(f"unknown command {name!r}; {did_you_mean(name, COMMANDS)}available: {', '.join(COMMANDS)}")
    if len(words) != 1 or words[0] not in SHELLS:
        raise UserError(f"{COMPLETION} {' '.join(words)}: name one shell; available: {', '.join(SHELLS)}")
    return Path(__file__).with_name(f"{COMPLETION}.{words[0]}").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
