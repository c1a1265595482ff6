"""python -m tools.backbones: seed → relevance/backbones/<name>/, about 25 minutes each on a core of its own.

Writes config.json, model.safetensors, tokenizer.json, tokenizer_config.json and provenance.json.
"""

from relevance.cli import command_line, run_command
from relevance.errors import UserError
from tools.backbones.options import NAMES, Options

USAGE = """usage: python -m tools.backbones [key=value ...]

Rebuilds the embedded backbones from generated text."""


@command_line(USAGE, Options)
def run(options: Options) -> None:
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        raise UserError(f"names={unknown}: unknown backbone; available: {', '.join(NAMES)}")
    from tools.backbones.build import build

    build(options)


if __name__ == "__main__":
    run_command(run)
