"""Words and numbers → the text of a markdown table; a missing number is "—".

percent(0.8712, 0.004) → "87.1 ± 0.4"    count(1234567.0) → "1,234,567"    escape("<i>") → "&lt;i&gt;"
"""

import math
import re

NONE = "—"
IDENTITY = ["model", "routing", "task mix", "variant"]  # the first columns of every table: the labels of a row


def table(header: list[str], body: list[list[str]], left: int) -> str:
    """A markdown table that reads as plain text too: `left` columns of text, then numbers."""
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            text.ljust(width) if i < left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [header, rule, *body]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: list[str]) -> str:
    """A markdown list of lines."""
    return "\n".join(f"- {line}" for line in lines)


def escape(text: str) -> str:
    """`text` as one line of markdown that shows it and nothing else."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`|*\[\]])", r"\\\1", line)


def percent(mean: float, sd: float = math.nan) -> str:
    """A share, 0 to 1, in percent with its standard deviation where there is one."""
    if math.isnan(mean):
        return NONE
    return f"{100 * mean:.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")


def count(value: float, digits: int = 0) -> str:
    """A number with thousands set apart, rounded to `digits` places."""
    return NONE if math.isnan(value) else f"{value:,.{digits}f}"
