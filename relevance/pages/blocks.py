"""What a report says, before it is markdown, html or tex: sections of text, lists, tables and figures.

Texts are as they are, from data too; every form escapes them in its own way. Numbers as texts; a missing one is "—":

percent(0.8712, 0.004) → "87.1 ± 0.4"    count(1234567.0) → "1,234,567"    signed(0.0123) → "+1.2"
"""

import math
from dataclasses import dataclass
from urllib.parse import quote

NONE = "—"
IDENTITY = ["model", "routing", "task mix", "variant"]  # the first columns of every table: the labels of a row


class Bold(str):
    """A text that stands out."""

    __slots__ = ()


class Code(str):
    """A line for a terminal."""

    __slots__ = ()


class Link(str):
    """A text that leads somewhere: Link("run 3", "http://127.0.0.1:5000/#/experiments/1/runs/3")."""

    __slots__ = ("url",)
    url: str

    def __new__(cls, text: str, url: str) -> "Link":
        """`url` as it is, from data too; a form shows `address`."""
        link = super().__new__(cls, text)
        link.url = url
        return link

    @property
    def address(self) -> str:
        """The url without a character that could end it early; "" where it is not one of the web."""
        web = self.url.startswith(("http://", "https://"))  # never javascript:
        return quote(self.url, safe="%/:?#[]@!$&*+,;=~") if web else ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first `left` columns are words, the others numbers."""

    header: list[str]
    body: list[list[str]]
    left: int


@dataclass(frozen=True)
class Figure:
    """A picture beside the page: <name>.svg, <name>.png."""

    name: str
    caption: str


Block = str | Code | list[str] | Table | Figure  # a paragraph, a command, a list, ...


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `deep`: a part of the section before; `closed`: opened by a click alone."""

    title: str
    blocks: list[Block]
    deep: bool = False
    closed: bool = False


def percent(mean: float, sd: float = math.nan) -> str:
    """A share, 0 to 1, in percent with its standard deviation where there is one."""
    if math.isnan(mean):
        return NONE
    return f"{100 * mean:.1f}" + ("" if math.isnan(sd) else f" ± {100 * sd:.1f}")


def count(value: float, digits: int = 0) -> str:
    """A number with thousands set apart, rounded to `digits` places."""
    return NONE if math.isnan(value) else f"{value:,.{digits}f}"


def signed(value: float) -> str:
    """A share as points with its sign."""
    return NONE if math.isnan(value) else f"{round(100 * value, 1) + 0.0:+.1f}"  # no "-0.0"
