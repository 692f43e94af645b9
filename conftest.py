"""Settings and a fixture for the tests of mtlkit and for those of its plugins."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

# a deadline of wall time fails tests on a machine that does other work, too
settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")


@pytest.fixture(autouse=True, scope="module")
def _equal_charts_are_drawn_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw equal charts of a file of tests once: reports take longer than training in most tests.

    The tests of reports draw every chart.
    """
    parts = request.path.relative_to(request.config.rootpath).parts
    if "report" in parts or "tests" not in parts:
        yield
        return
    from mtlkit.report import svg

    plain, drawn = svg.draw, dict[tuple[str, str], str]()

    def draw(chart: object, identifier: str) -> str:
        key = (repr(chart), identifier)
        if key not in drawn:
            drawn[key] = plain(chart, identifier)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svg, "draw", draw)
        yield
