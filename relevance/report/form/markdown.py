"""A document → markdown that reads as plain text too.

Table(["model", "macro"], [["llm", "**88.6**"]], left=1) → | model |    macro |
"""

import re

from relevance.report.document import Block, Bold, Code, Figure, Link, Section, Table

MARKS = re.compile(r"[\\`|*~]|\](?=[(\[:])|\[(?=\^)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
STARTS = re.compile(r"^(\d*)([#+.)=-])(?=\s|[=-])")  # what makes a heading, a list or a rule of a line


def markdown(title: str, sections: list[Section]) -> str:
    """The whole page."""
    parts = [f"# {escape(title)}"]
    for section in sections:
        if section.title:
            parts.append(f"{'###' if section.deep else '##'} {escape(section.title)}")
        parts += map(block, section.blocks)
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """`text` as one line of markdown that shows it and nothing else."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return STARTS.sub(r"\1\\\2", MARKS.sub(r"\\\g<0>", line))


def block(found: Block) -> str:
    """One block of it."""
    match found:
        case Code():
            return f"    {' '.join(found.split())}"
        case str():
            return _text(found)
        case list():
            return "\n".join(f"- {_text(line)}" for line in found)
        case Figure():
            return f"![{escape(found.caption)}]({found.name}.png)"
        case Table():
            return _table(found)


def _text(text: str) -> str:
    match text:
        case Bold():
            return f"**{escape(text)}**"
        case Link(address=address) if address:
            return f"[{escape(text)}]({escape(address)})"
    return escape(text)


def _table(table: Table) -> str:
    """`left` columns of text, then numbers, each column as wide as its widest text."""
    header, *body = ([_text(text) for text in line] for line in [table.header, *table.body])
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    rule = ["-" * width if i < table.left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            text.ljust(width) if i < table.left else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [header, rule, *body]
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
