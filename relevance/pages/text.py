"""A document → markdown that reads as plain text too; a table → tex for a paper, with booktabs.

Table(["model", "macro"], [["a_b", Bold("88.6")]], left=1)
  → | model |    macro | ... | a_b   | **88.6** |
  → \\begin{tabular}{lr} ... a\\_b & \\textbf{88.6} \\\\
"""

import re

from relevance.pages.blocks import Block, Bold, Code, Figure, Link, Section, Table

MARKDOWN_MARKS = re.compile(r"[\\`|*~]|\](?=[(\[:])|\[(?=\^)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
MARKDOWN_STARTS = re.compile(r"^(\d*)([#+.)=-])(?=\s|[=-])")  # what makes a heading, a list or a rule of a line
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "†": r"$\dagger$", "—": "---", "–": "--", "≈": r"$\approx$", "×": r"$\times$", "→": r"$\to$",
    "Δ": r"$\Delta$",
}  # fmt: skip
TEX_PATTERN = re.compile("|".join(map(re.escape, TEX)))


def markdown(title: str, sections: list[Section]) -> str:
    """The whole page."""
    parts = [f"# {escape_markdown(title)}"]
    for section in sections:
        if section.title:
            parts.append(f"{'###' if section.deep else '##'} {escape_markdown(section.title)}")
        parts += map(block, section.blocks)
    return "\n\n".join(parts) + "\n"


def block(content: Block) -> str:
    """One block of the page."""
    match content:
        case Code():
            return f"    {' '.join(content.split())}"
        case str():
            return _markdown_text(content)
        case list():
            return "\n".join(f"- {_markdown_text(line)}" for line in content)
        case Figure():
            return f"![{escape_markdown(content.caption)}]({content.name}.png)"
        case Table():
            return _table(content)


def _table(table: Table) -> str:
    """`left` columns of text, then numbers, each column as wide as its widest text."""
    header, *body = ([_markdown_text(text) for text in line] for line in [table.header, *table.body])
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


def _markdown_text(text: str) -> str:
    match text:
        case Bold():
            return f"**{escape_markdown(text)}**"
        case Link(address=address) if address:
            return f"[{escape_markdown(text)}]({escape_markdown(address)})"
    return escape_markdown(text)


def escape_markdown(text: str) -> str:
    """`text` as one line of markdown that shows it and nothing else."""
    line = " ".join(text.split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_STARTS.sub(r"\1\\\2", MARKDOWN_MARKS.sub(r"\\\g<0>", line))


def latex(table: Table, caption: str) -> str:
    """The table in an environment of its own; \\usepackage{booktabs} has to stand in the preamble."""
    header, *body = (" & ".join(map(_latex_text, line)) + r" \\" for line in [table.header, *table.body])
    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule", header, r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _latex_text(text: str) -> str:
    return rf"\textbf{{{escape_latex(text)}}}" if isinstance(text, Bold) else escape_latex(text)


def escape_latex(text: str) -> str:
    """`text` as tex that prints it and runs nothing."""
    line = TEX_PATTERN.sub(lambda match: TEX[match[0]], " ".join(text.split()))
    return "{}" + line if line.startswith(("[", "*")) else line  # behind \\\\ they would be its argument
