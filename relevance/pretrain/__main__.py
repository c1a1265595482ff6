"""python -m relevance.pretrain: seed → relevance/backbones/<name>/, about 25 minutes each on a core of its own.

Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and provenance.json.
"""

import sys

from relevance import commands
from relevance.errors import UserError
from relevance.pretrain.options import NAMES, Options

USAGE = """usage: python -m relevance.pretrain [key=value ...]

Rebuilds the embedded backbones from generated text."""


def run() -> None:
    words = sys.argv[1:]
    if "--help" in words or "-h" in words:
        print(commands.describe(USAGE, Options))
        return
    options = commands.parse(Options, words)
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        raise UserError(f"names={unknown}: unknown backbone; available: {', '.join(NAMES)}")
    from relevance.pretrain.build import build

    build(options)


if __name__ == "__main__":
    commands.main(run)
