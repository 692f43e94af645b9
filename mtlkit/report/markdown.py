"""A page as Markdown: the words and tables of the HTML page, and pictures in files next to it."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mtlkit.printable import printable
from mtlkit.report.blocks import TableBlock, Text
from mtlkit.report.numbers import number
from mtlkit.report.page import Code, Facts, Findings, Heading, Page, PageBlock


def render_markdown(page: Page, pictures: Mapping[str, str]) -> str:
    """Return the page as Markdown; `pictures` are paths of images by their titles."""
    lines = [f"# {safe_text(page.title)}", "", safe_text(page.lead), ""]
    lines += [f"{safe_text(notice)}\n" for notice in page.notices]
    lines += [f"![{safe_text(title)}]({path})\n" for title, path in pictures.items()]
    for part in page.parts:
        body = [line for block in part.blocks for line in _lines(block)]
        if body:
            lines += [f"## {safe_text(part.title)}", "", *body]
    return "\n".join(lines) + "\n"


def table_markdown(table: TableBlock) -> str:
    """Return the table in GitHub's Markdown, with the best numbers in bold."""
    if not table.rows:
        return ""
    lines = [_row(table.header), _row(["---", *["---:"] * (len(table.header) - 1)])]
    for place, row in enumerate(table.rows):
        texts = [number(cell, difference=column in table.signed) for column, cell in enumerate(row)]
        best = {column for row_number, column in table.best if row_number == place}
        lines.append(_row([f"**{text}**" if i in best else text for i, text in enumerate(texts)]))
    return "\n".join([*lines, *(["", safe_text(table.caption)] if table.caption else []), ""])


def _lines(block: PageBlock) -> Iterator[str]:
    if isinstance(block, Text):
        yield from (safe_text(block.text), "")
    elif isinstance(block, Heading):
        yield from (f"### {safe_text(block.text)}", "")
    elif isinstance(block, Findings):
        yield from (f"- *{item.kind}*: {safe_text(item.text)}" for item in block.items)
        yield ""
    elif isinstance(block, Facts):
        yield from (f"- {safe_text(n)}: {safe_text(text)}" for n, text in block.items.items())
        yield ""
    elif isinstance(block, Code):
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
        yield from (fence, block.text.rstrip("\n"), fence, "")
    elif isinstance(block, TableBlock) and block.rows:
        yield from ([f"#### {safe_text(block.title)}", ""] if block.title else [])
        yield table_markdown(block)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return safe_text(text).replace("\\", r"\\").replace("|", r"\|").replace("\n", " ")


def safe_text(text: str) -> str:
    """Return `text` without HTML, links and control characters; its emphasis and code stay.

    >>> safe_text("<img src=x> and [a](b) of `equal`")
    '&lt;img src=x> and [a] (b) of `equal`'
    """
    return printable(text).replace("<", "&lt;").replace("](", "] (")
