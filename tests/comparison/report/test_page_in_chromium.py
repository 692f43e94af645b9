"""The page in a real browser: it draws everything, asks nothing of the network, and obeys."""

import html
import json
import re
import shutil
import subprocess

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--enable-logging=stderr", "--log-level=0", "--virtual-time-budget=20000"),
)

PROBE = """
<script>
(async () => {
  const pause = () => new Promise((go) => setTimeout(go, 50));
  const until = async (right) => { while (!right()) await pause(); };
  const plots = () => [...document.querySelectorAll(".plot")];
  const drawn = (plot) => plot.querySelectorAll("svg.main-svg .trace").length;
  document.querySelectorAll("details").forEach((each) => { each.open = true; });
  await until(() => document.documentElement.dataset.ready === "true" && plots().every(drawn));
  const methods = () => plots().flatMap((plot) => plot.data.map((trace) => trace.meta ?? ""));
  const found = { plots: plots().length, traces: plots().map(drawn), before: methods() };
  found.wide = document.documentElement.scrollWidth - window.innerWidth;
  document.querySelector('[data-pick="famo"]').click();
  await until(() => !methods().includes("famo"));
  found.after = methods();
  found.off = [...document.querySelectorAll(".off")].map((mark) => mark.dataset.group);
  document.querySelector('[data-pick="famo"]').click();
  await until(() => methods().includes("famo"));
  const choice = document.querySelector(".choice select");
  const shown = () => document.querySelector(".choice .plot").dataset.figure;
  const first = shown();
  choice.selectedIndex = 1;
  choice.dispatchEvent(new Event("change"));
  found.chosen = [first, shown()];
  await until(() => plots().every(drawn));
  found.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  document.body.dataset.found = JSON.stringify(found);
})();
</script>
"""


@pytest.mark.parametrize("size", ["1280,40000", "500,60000"])
def test_the_page_draws_itself_and_obeys(reported, tmp_path, size):
    page = tmp_path / "page.html"
    page.write_text((reported / "report.html").read_text("utf-8") + PROBE, encoding="utf-8")
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *QUIET, profile, f"--window-size={size}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    said = re.search(r'<body[^>]* data-found="([^"]*)"', done.stdout)
    assert said, f"the page did not come to its end\n{done.stderr[-2000:]}"
    found = json.loads(html.unescape(said[1]))
    assert found["plots"] >= 22
    assert all(found["traces"])
    assert "famo" in found["before"]
    assert "famo" not in found["after"]
    assert "mgda" in found["after"]
    assert set(found["off"]) == {"famo"}
    assert found["chosen"][0] != found["chosen"][1]
    assert found["wide"] <= 0, "nothing sticks out to the right"
    assert found["requests"] == []
