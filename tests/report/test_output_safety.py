"""Names cannot become HTML, links, columns or formulas in Markdown and CSV."""

import csv
import io

import attrs
import pytest

from mtlkit.report.blocks import TableBlock, Text
from mtlkit.report.csv_file import rows_csv, tables_csv
from mtlkit.report.markdown import render_markdown, table_markdown
from mtlkit.report.page import Code, Facts, Finding, Findings, Heading, Page, PagePart

HOSTILE = '<img src=x onerror="alert(1)">|![a](http://x/y)\x1b[31m'


def hostile_page():
    table = TableBlock(header=("task", HOSTILE), rows=((HOSTILE, 1.0),), caption=HOSTILE)
    blocks = (
        Text(text=HOSTILE), Heading(HOSTILE), Findings(items=(Finding("better", HOSTILE),)),
        Facts(items={HOSTILE: HOSTILE}), attrs.evolve(table, title=HOSTILE),
    )  # fmt: skip
    parts = (PagePart(title=HOSTILE, blocks=blocks, anchor="a"),)
    return Page(title=HOSTILE, subject="", lead=HOSTILE, notices=(HOSTILE,), parts=parts)


def test_markdown_holds_no_html_and_no_link():
    text = render_markdown(hostile_page(), {HOSTILE: "figures/0.svg"})
    assert "<" not in text
    assert "](http" not in text
    assert "\x1b" not in text
    assert text.count("](figures/0.svg)") == 1


def test_a_pipe_makes_no_column():
    table = TableBlock(header=("a", "b|c"), rows=(("x|y\\|z\nw", 1.0),))
    header, _, row = table_markdown(table).splitlines()[:3]
    for line in (header, row):
        unescaped = line.replace("\\\\", "").replace("\\|", "")
        assert unescaped.count("|") == 3


def test_code_cannot_end_its_fence():
    code = Code(text="a\n```\n# not a heading\n````\n")
    page = attrs.evolve(hostile_page(), parts=(PagePart(title="code", blocks=(code,), anchor="a"),))
    assert "`````\na\n```\n# not a heading\n````\n`````" in render_markdown(page, {})


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_name_is_no_formula(name):
    table = TableBlock(header=("task", name), rows=((name, -0.5),))
    for text in (rows_csv([{name: name, "value": -0.5}]), tables_csv([({"of": name}, table)])):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        cells = [cell for row in rows for cell in row]
        assert f"'{name}" in cells
        assert name not in cells
        assert "-0.5" in cells


def test_a_control_character_makes_no_row():
    text = rows_csv([{"a": "x\r=1\x1b", "b": 1}])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], ["x\\r=1\\x1b", "1"]]
