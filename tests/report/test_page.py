"""The report: whole, self-contained, escaped, and drawn from plain values."""

import base64
import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import attrs
import matplotlib
import pytest
from PIL import Image

from mtlkit.callbacks import EvaluationEvent, Speed, StepEvent
from mtlkit.errors import RunError
from mtlkit.report.blocks import Chart, Gallery, Picture, Section, Series, TableBlock, Text
from mtlkit.report.evaluation import Evaluation
from mtlkit.report.overlay import legend, overlay
from mtlkit.report.run_page import RunRecord, render_page
from mtlkit.report.svg import draw

EVIL = "<script>alert('x')</script> & \"quotes\" ]]> {{ 7 * 7 }}"
VOID = {"meta", "link", "img", "wbr"}


def png() -> str:
    target = io.BytesIO()
    Image.new("L", (4, 4), 128).save(target, format="PNG")
    return base64.b64encode(target.getvalue()).decode()


def chart(title: str = "Rank-1 by yaw", kind: str = "line", **values: tuple[float, ...]) -> Chart:
    values = values or {"network": (0.5, 0.9, 0.6), "pixels": (0.1, 0.8, 0.1)}
    return Chart(
        title=title,
        kind=kind,
        x_label="yaw",
        y_label="rank-1",
        series={name: Series(x=(-90, 0, 90)[: len(y)], y=y) for name, y in values.items()},
        comparable=True,
    )


def record(name: str = "p-cnn", text: str = "ann", **values: tuple[float, ...]) -> RunRecord:
    section = Section(
        title=f"Identification {text}",
        blocks=(
            Text(text=f"paragraph {text}"),
            chart(**values),
            chart("Bars", "bar"),
            chart("Areas", "area"),
            TableBlock(header=("", text), rows=((text, 0.25), ("count", 12)), caption=text),
            Gallery(rows=((Picture(png=png(), caption=text),),), caption=text),
        ),
    )
    return RunRecord(
        name=name,
        evaluation=Evaluation(
            facts={"model": f"CasiaNet {text}", "data": text},
            budget={"parameters": 1e6, "seconds": 200.0},
            headlines=("face/rank1",),
            metrics={"face/rank1": 0.71234, text: 0.5},
            sections=(section,),
        ),
        events=[
            StepEvent(
                step=1, epoch=0.1, learning_rate=0.02, losses={text: 2.0}, weights={text: 1.0}
            ),
            StepEvent(
                step=2, epoch=0.2, learning_rate=0.01, losses={text: 1.0}, weights={text: 0.5}
            ),
            EvaluationEvent(step=2, epoch=0.2, metrics={"who/accuracy": 0.4, "who/loss": 1.1}),
            Speed(step=2, seconds=75.0, samples_per_second=800.0, peak_memory_bytes=2**28),
        ],
        recipe=f"# {text}\nseed: 3\n",
        versions={"torch": f"2.15 {text}"},
    )


class Reader(HTMLParser):
    """Checks nesting, and gathers tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, found):
        self.tags.append((tag, dict(found)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, found):
        self.tags.append((tag, dict(found)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, found):
        if not self.open or self.open[-1] != "style":
            self.text.append(found)

    def shown(self) -> str:
        return " ".join(self.text)


PAGES = {
    "alone": lambda: render_page(record()),
    "beside": lambda: render_page(record(), [record("s-cnn", network=(0.1, 0.2, 0.3))]),
    "bare": lambda: render_page(RunRecord(name="bare", evaluation=Evaluation())),
    "evil": lambda: render_page(record(EVIL, EVIL), [record("other", EVIL)]),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_well_nested_and_needs_nothing_from_outside(page):
    reader = Reader(PAGES[page]())
    assert not [tag for tag, _ in reader.tags if tag in ("script", "iframe", "object", "base")]
    for _, found in reader.tags:
        for name, value in found.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action", "data", "poster"):
                assert value is not None
                assert value.startswith(("#", "data:"))
    styles = PAGES[page]()
    assert "@import" not in styles
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", styles))


@pytest.mark.parametrize("page", PAGES)
def test_ids_are_unique_and_every_inner_link_has_a_target(page):
    reader = Reader(PAGES[page]())
    ids = [found["id"] for _, found in reader.tags if "id" in found]
    assert len(ids) == len(set(ids))
    for _, found in reader.tags:
        for value in (found.get("href"), found.get("xlink:href"), found.get("aria-labelledby")):
            if value and not value.startswith("data:"):
                assert value.removeprefix("#") in ids
    for clip in re.findall(r"url\(#([^)]*)\)", PAGES[page]()):
        assert clip in ids


def test_texts_of_users_are_shown_as_they_are_and_never_run():
    page = PAGES["evil"]()
    assert "<script" not in page
    assert "{{ 7 * 7 }}" in page
    assert Reader(page).shown().count(EVIL) > 10


def test_what_the_page_says():
    shown = Reader(render_page(record())).shown()
    for wanted in (
        "p-cnn", "CasiaNet ann", "0.7123", "Training loss", "Weights of the losses",
        "Learning rate", "Validation accuracy", "1 min 15 s", "256 MiB", "seed: 3", "2.15 ann",
        "paragraph ann",
    ):  # fmt: skip
        assert wanted in shown


def test_sentences_in_a_table_are_broken_and_figures_are_not():
    table = TableBlock(header=("", "why"), rows=(("a", 'x < y, "which" ' * 5), ("b", "short")))
    section = Section(title="Claims", blocks=(table,))
    page = render_page(attrs.evolve(record(), evaluation=Evaluation(sections=(section,))))
    assert page.count('class="words"') == 3  # the head of the column, and both of its cells
    assert '<td class="words">x &lt; y, &#34;which&#34;' in page


def test_what_there_is_nothing_of_has_no_place():
    bare = RunRecord(name="study", evaluation=Evaluation(facts={"seeds": "5"}))
    shown = Reader(render_page(bare)).shown()
    for missing in ("Recipe", "Versions", "metrics"):
        assert missing not in shown


def test_headlines_and_curves_come_before_everything_else():
    shown = Reader(render_page(record())).shown()
    order = ["0.7123", "Validation accuracy", "Training loss", "paragraph ann", "Learning rate"]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)


def test_another_run_stands_beside_with_its_budget_and_curves():
    other = record("s-cnn", network=(0.1, 0.2, 0.3))
    other = attrs.evolve(
        other, evaluation=attrs.evolve(other.evaluation, metrics={"face/rank1": 0.1111})
    )
    page = render_page(record(), [other])
    shown = Reader(page).shown()
    for wanted in ("Compared with other runs", "s-cnn", "0.1111", "training time", "3 min 20 s"):
        assert wanted in shown
    assert "s-cnn: network" in shown
    assert "–" in shown  # noqa: RUF001 - the metric that only one run has


def test_runs_of_one_name_are_refused():
    with pytest.raises(RunError, match="need different names, got p-cnn, p-cnn"):
        render_page(record(), [record()])


def test_a_page_is_the_same_each_time():
    assert render_page(record()) == render_page(record())


def test_drawing_leaves_the_settings_of_matplotlib_alone():
    before = dict(matplotlib.rcParams)
    draw(chart(), "c")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("kind", ["line", "bar", "area", "intervals"])
@pytest.mark.parametrize("xs", [(-90, 0, 90), ("left", "front", "a rather long name of a class")])
def test_a_chart_is_an_svg_with_a_title_that_scales(kind, xs):
    series = {"a": Series(x=xs, y=(0.1, float("nan"), 0.4))}
    root = ElementTree.fromstring(draw(attrs.evolve(chart(kind=kind), series=series), "c1"))
    assert root.attrib["role"] == "img"
    assert "width" not in root.attrib
    assert "viewBox" in root.attrib
    assert root[0].text == "Rank-1 by yaw"
    assert root.attrib["aria-labelledby"] == root[0].attrib["id"]
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    if isinstance(xs[0], str):
        assert set(xs) <= set(texts)


def test_colours_are_those_of_the_page():
    svg = draw(chart(), "c")
    assert "var(--series-0)" in svg
    assert "var(--series-1)" in svg
    assert "#0102" not in svg
    assert "<metadata" not in svg


@pytest.mark.parametrize("values", [(0.33, 1.6), (0.004, 0.03), (2.0, 9.0), (0.001, 40.0)])
def test_a_log_axis_has_three_ticks_or_more(values):
    root = ElementTree.fromstring(draw(attrs.evolve(chart(a=values), y_log=True), "c1"))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    ticks = [float(text) for text in texts if re.fullmatch(r"[0-9.e-]+", text)]
    assert len([tick for tick in ticks if values[0] <= tick <= values[1]]) >= 3


def test_a_title_with_markup_is_escaped_in_the_svg():
    svg = draw(chart(title=EVIL), "c")
    assert ElementTree.fromstring(svg)[0].text == EVIL


def test_texts_with_dollars_are_no_formulas():
    svg = draw(attrs.evolve(chart(), x_label="a$b$c"), "c")
    assert ">a$b$c</text>" in svg
    assert "<!--" not in svg


def test_magnitudes_are_written_as_plain_numbers():
    svg = draw(attrs.evolve(chart(a=(0.02, 1.0)), y_log=True), "c")
    assert {">0.1</text>", ">1</text>"} <= set(re.findall(r">[\d.]+</text>", svg))
    assert "math" not in svg


def test_runs_of_one_curve_each_are_told_apart_by_colour():
    entries = legend(overlay("this", chart(network=(1.0,)), {"other": chart(network=(0.5,))}))
    assert list(entries) == ["this", "other"]
    assert [style.color for style in entries.values()] == ["var(--series-0)", "var(--series-1)"]


def test_runs_of_several_curves_are_told_apart_by_dashes():
    other = chart(network=(0.2, 0.2, 0.2), pixels=(0.3, 0.3, 0.3))
    entries = legend(overlay("this", chart(), {"other": other}))
    assert {label: (style.color[-2], style.dash) for label, style in entries.items()} == {
        "this: network": ("0", 0),
        "this: pixels": ("1", 0),
        "other: network": ("0", 1),
        "other: pixels": ("1", 1),
    }


def test_a_baseline_that_all_runs_share_is_drawn_once():
    other = chart(network=(0.2, 0.2, 0.2), pixels=(0.1, 0.8, 0.1))
    entries = legend(overlay("this", chart(), {"other": other}))
    assert list(entries) == ["this: network", "pixels", "other: network"]


@pytest.mark.parametrize("bad", ["not base64!", base64.b64encode(b"<svg onload=x>").decode()])
def test_a_picture_that_is_no_png_is_refused(bad):
    gallery = Gallery(rows=((Picture(png=bad, caption=""),),))
    section = Section(title="s", blocks=(gallery,))
    with pytest.raises(RunError, match="a picture of the report is not"):
        render_page(RunRecord(name="a", evaluation=Evaluation(sections=(section,))))


@pytest.mark.parametrize("wide", [False, True])
def test_wide_pictures_are_no_thumbnails(wide):
    gallery = Gallery(rows=((Picture(png=png(), caption=""),),), wide=wide)
    section = Section(title="s", blocks=(gallery,))
    page = render_page(RunRecord(name="a", evaluation=Evaluation(sections=(section,))))
    assert ('<div class="gallery wide">' in page) is wide
