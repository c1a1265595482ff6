"""Names from people as names of folders."""

import re

import pytest

from relevance.cell_id import slug

NAMES = [
    "..",
    ".",
    "",
    "a/../b",
    "../../x",
    "/etc/passwd",
    "a\nb",
    "größe",
    "x" * 300,
    "a b",
    "<script>",
    "-",
    "~",
    "CON",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_slug_is_a_safe_folder_name(name):
    made = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", made)
    assert slug(made) == made


def test_good_names_are_kept_and_others_told_apart():
    assert slug("sweep-1f.0_A") == "sweep-1f.0_A"
    assert len({slug(name) for name in (*NAMES, "a/b", "a-b", "x" * 299)}) == len(NAMES) + 3
