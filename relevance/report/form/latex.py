r"""A table → tex for a paper, with booktabs.

Table(["model", "macro"], [["a_b", Bold("88.6")]], left=1) → \begin{tabular}{lr} ... a\_b & \textbf{88.6} \\
"""

import re

from relevance.report.document import Bold, Table

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "†": r"$\dagger$", "—": "---", "–": "--", "≈": r"$\approx$", "×": r"$\times$", "→": r"$\to$",
    "Δ": r"$\Delta$",
}  # fmt: skip
PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))


def latex(table: Table, caption: str) -> str:
    """The table in an environment of its own; \\usepackage{booktabs} has to stand in the preamble."""
    header, *body = (" & ".join(map(_text, line)) + r" \\" for line in [table.header, *table.body])
    columns = "l" * table.left + "r" * (len(table.header) - table.left)
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule", header, r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """`text` as tex that prints it and runs nothing."""
    line = PATTERN.sub(lambda found: SPECIAL[found[0]], " ".join(text.split()))
    return "{}" + line if line.startswith(("[", "*")) else line  # behind \\\\ they would be its argument


def _text(text: str) -> str:
    return rf"\textbf{{{escape(text)}}}" if isinstance(text, Bold) else escape(text)
