"""A text → the field of a csv that no spreadsheet runs.

"=SUM(A1)" → "'=SUM(A1)"    "-1.5e-3" → "-1.5e-3"
"""

import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def guard(field: str) -> str:
    """`field` as a spreadsheet will not take for a formula: led by a quote unless it is a number."""
    risky = field.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBER.fullmatch(field)
    return f"'{field}" if risky else field
