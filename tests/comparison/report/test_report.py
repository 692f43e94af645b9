"""The files of a report: all of the study is in them, whatever state it is in."""

import csv
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import attrs
import pyarrow.parquet as pq
import pytest

from mtlkit.checksums import sealed, unsealed
from mtlkit.comparison.analysis.evidence import gather
from mtlkit.comparison.report.figures import forest
from mtlkit.comparison.report.styles import VERDICTS
from mtlkit.comparison.report.write import write_reports
from mtlkit.comparison.results.record import Budget, Stage, read_results
from mtlkit.comparison.results.study_results import read_study
from mtlkit.errors import RunError

BASELINES = {"single-task", "equal", "log", "tuned", "rlw"}
FEW = ("single-task", "equal", "famo")


def page_of(folder):
    """The page without the packed library, which is most of it."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    return re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", text)


def figures_of(folder):
    text = page_of(folder)
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text)
    return json.loads(found[1])


class Tags(HTMLParser):
    """Which tags are open at the end, and what is loaded from elsewhere."""

    EMPTY = ("meta", "link", "br", "wbr", "img", "use", "path", "input")

    def __init__(self):
        super().__init__()
        self.open, self.loaded, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.loaded += [values[k] for k in ("src", "href") if k in values]
        self.ids += [values["id"]] if "id" in values else []

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def test_the_page_is_sound_and_loads_nothing(reported):
    tags = Tags()
    tags.feed(page_of(reported))
    assert tags.open == []
    assert all(place.startswith(("#", "data:,")) for place in tags.loaded)
    anchors = {place[1:] for place in tags.loaded if place.startswith("#")}
    assert anchors <= set(tags.ids)
    assert len(tags.ids) == len(set(tags.ids))


def test_every_method_and_problem_is_on_the_page(reported):
    study, page = read_study(reported), page_of(reported)
    for method in study.methods:
        assert f'data-pick="{method}"' in page
        assert f'<g data-group="{method}"' in page, "in the critical-difference diagram"
        drawn = [f for f in figures_of(reported).values() if f["rows"]]
        named = {trace["meta"] for figure in drawn for trace in figure["traces"]}
        assert method in named
    assert "<h2>Problem a &lt;b&gt; &amp; co</h2>" in page
    assert "<age>" not in page
    assert "loss of &lt;age&gt; is not finite at step 212" in page


def test_figures_have_traces_of_one_length(reported):
    for figure in figures_of(reported).values():
        assert figure["traces"]
        for trace in figure["traces"]:
            assert len(trace["x"]) == len(trace["y"]) > 0


def test_pictures_and_a_short_verdict_come_first_and_details_are_folded(reported):
    page = page_of(reported)
    opening, verdict = page.index('class="opening"'), page.index('id="verdict"')
    assert opening < verdict < page.index("<details")
    first = page[verdict : page.index("</ul>", verdict)]
    assert 0 < first.count("<li") <= 5
    titles = re.findall(r"<h3>(.*?)</h3>", page[opening:verdict])
    assert titles == ["Gain over equal weights", "Trade between tasks"]
    folded = re.findall(r'<details class="part"><summary><h2>(.*?)</h2>', page)
    assert len(folded) == page.count("<h2>") - 1  # the verdict alone is open


def test_the_forest_is_colored_by_verdict(reported):
    evidence = gather(read_study(reported))
    for problem in ("all problems", "faces"):
        chart = forest(evidence, problem, "equal")
        means = [series.y[0] for series in chart.series.values()]
        assert means == sorted(means, reverse=True)
        for method, series in chart.series.items():
            compared = evidence.family.of(problem, method, "equal")
            assert series.label == compared.verdict
            assert series.style == VERDICTS[compared.verdict]
            assert (series.low[0], series.y[0]) == (compared.estimate.low, compared.estimate.mean)


def test_markdown_shows_the_pictures(reported):
    text = (reported / "report.md").read_text(encoding="utf-8")
    for path in re.findall(r"!\[.*?\]\((.*?)\)", text):
        svg = (reported / path).read_text(encoding="utf-8")
        assert ElementTree.fromstring(svg).attrib["role"] == "img"
        assert set(re.findall(r"var\((--[\w-]+)\)", svg)) <= set(re.findall(r"(--[\w-]+):", svg))


def test_markdown_says_the_same(reported):
    study, page = read_study(reported), page_of(reported)
    text = (reported / "report.md").read_text(encoding="utf-8")
    assert "12 methods · 2 problems · 5 seeds" in text
    for method in study.methods:
        assert f"| {method} |" in text
    for sentence in re.findall(r"^- \*better\*: (.*)$", text, re.M):
        assert sentence.replace("<", "&lt;").replace(">", "&gt;").replace("&", "&amp;") in page or (
            sentence.split(":")[0] in page
        )
    headers = [line for line in text.splitlines() if line.startswith("| ---")]
    assert len(headers) >= 14


def test_tables_are_numbers(reported):
    with (reported / "tables" / "ranking.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["problem"] for row in rows} == {"faces", "a <b> & co"}
    assert {row["method"] for row in rows} >= BASELINES
    famo = next(row for row in rows if row["method"] == "famo")
    low, mean, high = (float(famo[f"Δm against equal, %{x}"]) for x in (" low", "", " high"))
    assert low < mean < high
    assert {path.stem for path in (reported / "tables").iterdir()} == {
        *("ranking", "budgets", "comparisons", "tasks", "hypervolume", "cost", "learning-rates"),
        *("settings", "failures", "summary"),
    }


def test_every_run_is_in_the_flat_tables(reported):
    records = read_results(reported / "results.jsonl")
    table = pq.read_table(reported / "results.parquet")
    assert table.num_rows == len(records)
    assert table.column("test/pose/accuracy").to_pylist() == [
        record.test.get("pose/accuracy") for record in records
    ]
    with (reported / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == [record.method for record in records]
    assert [row["stage"] for row in rows] == [record.stage.value for record in records]


def rewritten(synthetic, study, folder):
    synthetic.write_study(folder, study)
    write_reports(folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_an_unfinished_study(synthetic, draw, tmp_path):
    study = draw(methods=FEW, trials=2, budgets=(Budget.EPOCHS, Budget.TIME))
    assert study.missing() == {}
    half = tuple(r for r in study.records if r.stage is Stage.TRIAL or r.seed < 2)
    text = rewritten(synthetic, attrs.evolve(study, records=half), tmp_path / "half")
    assert (
        "The study is not finished: 36 final runs have not ended. What follows is of those that "
        "have." in text
    )
    nothing = rewritten(synthetic, attrs.evolve(study, records=()), tmp_path / "nothing")
    assert "12 trials and 60 final runs have not ended" in nothing
    assert "No method has a finished final run yet." in nothing
    page_of(tmp_path / "nothing")


def test_only_trials_so_far(synthetic, draw, tmp_path):
    study = draw(methods=FEW, trials=3)
    trials = tuple(r for r in study.records if r.stage is Stage.TRIAL)
    text = rewritten(synthetic, attrs.evolve(study, records=trials), tmp_path / "s")
    assert "### Sensitivity to the learning rate" in text


def test_one_seed(synthetic, draw, tmp_path):
    text = rewritten(synthetic, draw(methods=FEW, seeds=1), tmp_path / "s")
    assert "One seed: there are no intervals and there is no verdict" in text
    assert not re.search(r"\d \[", text), "no interval anywhere"


def test_a_baseline_left_out(synthetic, draw, tmp_path):
    study = draw(methods=("equal", "famo", "tuned"))
    study = attrs.evolve(study, without={"single-task": "no time", "rlw": "not asked for"})
    text = rewritten(synthetic, study, tmp_path / "s")
    assert "The baseline single-task was left out: no time" in text
    assert "Without a reason given, the study lacks log." in text
    place = tmp_path / "s" / "study.json"
    value = unsealed(place.read_text())
    del value["without"]
    place.write_text(sealed(value))
    (tmp_path / "s" / "comparison.yaml").write_text("without: {rlw: as the file says}\n")
    assert read_study(tmp_path / "s").without == {"rlw": "as the file says"}


def test_without_equal_or_any_baseline(synthetic, draw, tmp_path):
    text = rewritten(synthetic, draw(methods=("famo", "mgda")), tmp_path / "s")
    assert "Nothing can be compared yet." in text


def test_a_run_made_again_counts_once(synthetic, draw, tmp_path):
    study = draw(methods=FEW)
    first = next(r for r in study.records if r.method == "famo")
    broken = attrs.evolve(first, error="out of memory", test={}, validation={})
    rewritten(synthetic, attrs.evolve(study, records=(broken, *study.records)), tmp_path / "s")
    assert read_study(tmp_path / "s").failed() == ()


def test_a_broken_log_is_named(synthetic, draw, tmp_path):
    synthetic.write_study(tmp_path / "s", draw(methods=FEW), logged_steps=2)
    (tmp_path / "s/runs/faces/famo/epochs-seed0/log.jsonl").write_text("nonsense\n")
    write_reports(tmp_path / "s")
    assert "No traces of famo: s/runs/faces/famo/epochs-seed0/log.jsonl:1: expected" in page_of(
        tmp_path / "s"
    )


def test_no_study(tmp_path):
    with pytest.raises(RunError, match=r"study\.json: is missing; expected the folder of a study"):
        write_reports(tmp_path)
    (tmp_path / "study.json").write_text(sealed({"primary_metrics": 3}))
    with pytest.raises(RunError, match="got other values than this version of mtlkit writes"):
        write_reports(tmp_path)


def test_a_report_made_twice_is_the_same(reported):
    before = (reported / "report.html").read_bytes()
    write_reports(reported)
    assert (reported / "report.html").read_bytes() == before
