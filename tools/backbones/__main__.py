"""python -m tools.backbones: seed → relevance/backbones/<name>/, about 25 minutes each on a core of its own.

Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and provenance.json.
"""

import sys

from relevance.cli import help_text, parse, run_command
from relevance.errors import UserError
from tools.backbones.options import NAMES, Options

USAGE = """usage: python -m tools.backbones [key=value ...]

Rebuilds the embedded backbones from generated text."""


def run() -> None:
    words = sys.argv[1:]
    if "--help" in words or "-h" in words:
        print(help_text(USAGE, Options))
        return
    options = parse(Options, words)
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        raise UserError(f"names={unknown}: unknown backbone; available: {', '.join(NAMES)}")
    from tools.backbones.build import build

    build(options)


if __name__ == "__main__":
    run_command(run)
