"""A document → one page of html, or markdown that reads as plain text too; a table → tex for a paper, with booktabs.

Section("Cost", [Table(["model", "macro"], [["a_b", Bold("88.6")]], left=1)])
  → <section id="cost"> <h2>Cost</h2> ... <td class="word">a_b</td><td><strong>88.6</strong></td> ...
  → ## Cost ... | model |    macro | ... | a_b   | **88.6** |
  → \\begin{tabular}{lr} ... a\\_b & \\textbf{88.6} \\\\

The html has style and figures inside, no script, nothing from elsewhere. Each form escapes what came from data.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

from relevance.masking import printable
from relevance.pages.blocks import Block, Bold, Code, Figure, Link, Section, Table

PAGE = "page.html"
TALL = 40  # rows at most of a table that is open on screen
NARROW = 5  # columns at most of a table that fits a telephone as it is
WIDE = 28  # characters at most of a text that stays on one line of its cell
KINDS = {"bold": Bold, "code": Code, "figure": Figure, "link": Link, "list": list, "table": Table}
COUNT = re.compile(r"(.*\S)\s+(n=\S+)", re.DOTALL)  # how many rows a column is over, after its name


def html(title: str, sections: list[Section], folder: Path) -> str:
    """The whole page; the figures it shows are read from `folder`. The same input gives the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.tests.update({name: lambda block, kind=kind: isinstance(block, kind) for name, kind in KINDS.items()})
    environment.filters.update(lines=_lines, heading=_heading, shown=_shown, leading=_leading, pairs=_pairs)
    first, rest = (sections[0], sections[1:]) if sections and not sections[0].title else (None, sections)
    return environment.get_template(PAGE).render(
        title=title,
        opening=first,
        parts=_parts(rest),
        picture=lambda name: _data_uri(folder / f"{name}.svg"),
        tall=TALL,
        wide=WIDE,
        narrow=NARROW,
    )


def _leading(blocks: list[Block]) -> list[Block]:
    """The sentences before the first block that is none."""
    n = next((i for i, block in enumerate(blocks) if not _sentence(block)), len(blocks))
    return blocks[:n]


def _pairs(blocks: list[Block]) -> Iterator[list[Block]]:
    """Each block by itself, but a table and the figure that follows it together."""
    at = 0
    while at < len(blocks):
        n = 2 if isinstance(blocks[at], Table) and isinstance(next(iter(blocks[at + 1 :]), None), Figure) else 1
        yield blocks[at : at + n]
        at += n


def _sentence(block: Block) -> bool:
    return isinstance(block, str) and not isinstance(block, Code)


def _anchors(titles: list[str]) -> list[str]:
    """An id for each title, of its letters and digits; "" for none, a number after one that is taken."""
    anchors: list[str] = []
    for title in titles:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        tries = (plain if n == 1 else f"{plain}-{n}" for n in range(1, len(titles) + 2))
        anchors.append(next(name for name in tries if name not in anchors) if title else "")
    return anchors


def _parts(sections: list[Section]) -> list[tuple[Section, str, list[tuple[Section, str]]]]:
    """Each section and its anchor, with the deep ones that follow it."""
    parts: list[tuple[Section, str, list[tuple[Section, str]]]] = []
    for section, anchor in zip(sections, _anchors([section.title for section in sections]), strict=True):
        if section.deep and parts:
            parts[-1][2].append((section, anchor))
        else:
            parts.append((section, anchor, []))
    return parts


def _shown(table: Table) -> Table:
    """The table without columns of words that are empty in every row: they would cost width and say nothing."""
    empty = [at for at in range(table.left) if not any(line[at] for line in table.body)]
    columns = [at for at in range(len(table.header)) if at not in empty]
    body = [[line[at] for at in columns] for line in table.body]
    return Table([table.header[at] for at in columns], body, table.left - len(empty))


def _lines(table: Table) -> Iterator[list[tuple[str, str]]]:
    """Each row as texts with their class: "word" left of the numbers, "again" for a label as in the row above."""
    above: list[str] = []
    for row in table.body:
        kinds = ["word" if i < table.left else "" for i in range(len(row))]
        for i in range(table.left - 1):  # the last label is what tells two rows apart
            if row[: i + 1] == above[: i + 1]:
                kinds[i] = "word again"
        yield list(zip(row, kinds, strict=True))
        above = row


def _heading(text: str) -> tuple[str, str]:
    """The name of a column and the count that stands under it: "query_item n=402" → "query_item", "n=402"."""
    match = COUNT.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")


def _data_uri(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


MARKDOWN_MARKS = re.compile(r"[\\`|*~]|\](?=[(\[:])|\[(?=\^)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
MARKDOWN_ADDRESSES = re.compile(r"(?<=\w):(?=//|[\w.+-]+@)|(?<=www)\.|(?<=[\w.+-])@(?=[\w-]+\.\w)", re.I)
MARKDOWN_STARTS = re.compile(r"^(\d*)([#+.)=-])(?=\s|[=-])")  # what makes a heading, a list or a rule of a line
TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "†": r"$\dagger$", "—": "---", "–": "--", "≈": r"$\approx$", "×": r"$\times$", "→": r"$\to$",
    "Δ": r"$\Delta$", "�": "?",
}  # fmt: skip
TEX_PATTERN = re.compile("|".join(map(re.escape, TEX)))


def markdown(title: str, sections: list[Section]) -> str:
    parts = [f"# {escape_markdown(title)}"]
    for section in sections:
        if section.title:
            parts.append(f"{'###' if section.deep else '##'} {escape_markdown(section.title)}")
        parts += map(block, section.blocks)
    return "\n\n".join(parts) + "\n"


def block(content: Block) -> str:
    match content:
        case Code():
            return f"    {_line(content)}"
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
            return f"[{escape_markdown(text)}]({_marked(address)})"
    return escape_markdown(text)


def escape_markdown(text: str) -> str:
    """`text` as one line of markdown that shows it and nothing else: an address in it is no link."""
    return MARKDOWN_ADDRESSES.sub(r"\\\g<0>", _marked(text))


def _marked(text: str) -> str:
    line = _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN_STARTS.sub(r"\1\\\2", MARKDOWN_MARKS.sub(r"\\\g<0>", line))


def _line(text: str) -> str:
    """`text` on one line, without signs that a terminal obeys."""
    return printable(" ".join(text.split()))


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
    line = TEX_PATTERN.sub(lambda match: TEX[match[0]], _line(text))
    return "{}" + line if line.startswith(("[", "*")) else line  # behind \\\\ they would be its argument
