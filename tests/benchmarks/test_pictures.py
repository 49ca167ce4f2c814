"""Pictures show what was measured, and say it in words too."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report, results
from benchmarks.drawing import Bar, bars, lines, timeline

pytestmark = pytest.mark.one_database

RATES = {"taskapi": [40.0, 60.0, 50.0], "Rival": [10.0, 10.0, 10.0], "Other & more": [100.0, 120.0, 100.0]}
HTTP = {"list, 16": {name: [{"per_second": rate} for rate in rates] for name, rates in RATES.items()}}


def words_of(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter() if "text" in element.tag]


def bar_widths(picture: str) -> list[float]:
    found = re.findall(
        r'<rect class="f\d" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="12"><title>', picture
    )
    return [float(width) for width in found]


def test_a_bar_says_how_many_times_as_fast_taskapi_is() -> None:
    words = words_of(report.picture_of_http(HTTP))
    assert {"list, 16", "Rival", "Other & more", "5.0x", "0.50x"} <= set(words)


def test_twice_as_fast_and_half_as_fast_are_equally_long() -> None:
    picture = bars("Title", {"group": [Bar("A", 2.0, 2.0, 2.0), Bar("B", 0.5, 0.5, 0.5)]})
    faster, slower = bar_widths(picture)
    assert faster == pytest.approx(slower, abs=0.11)


def test_a_rival_that_is_equal_is_drawn_too() -> None:
    assert "1.00x" in words_of(bars("Title", {"group": [Bar("A", 1.0, 1.0, 1.0)]}))


def test_a_picture_is_readable_by_light_and_in_the_dark() -> None:
    for picture in (report.picture_of_http(HTTP), lines("Title", "runs", {"a": [(10, 1), (100, 2)]})):
        light, dark = picture.split("@media (prefers-color-scheme: dark)")
        assert ".paper { fill: #ffffff; }" in light
        assert ".paper { fill: #0d1117; }" in dark


def test_all_that_was_due_at_once_is_compared_by_when_the_last_began() -> None:
    lags = {"2,000 in one instant": {"taskapi": [0.1, 0.2], "RQ": [0.5, 4.0]}, "50 a second": {}}
    picture = report.picture_of_queues({"lag": lags})
    assert picture is not None
    assert {"20x", "2,000 in one instant"} <= set(words_of(picture))
    assert "50 a second" not in words_of(picture)


def test_growth_has_a_line_for_each_call() -> None:
    figures = {"runs": {"1000": {"page 1": 5.0}, "10000": {"page 1": 6.0}}, "tasks": {"1000": {"one": 2.0}}}
    picture = report.picture_of_growth(figures)
    assert picture is not None
    assert {"runs: page 1", "tasks: one", "10,000", "6 ms"} <= set(words_of(picture))


def test_what_was_not_measured_has_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert report.drawn("http", tmp_path) is None
    (tmp_path / "http.json").write_text(json.dumps({"tables": {}, "figures": HTTP, "machine": "one"}))
    assert report.drawn("http", tmp_path) == f"![{report.SAYS['http']}](images/benchmarks-http.svg)"
    assert (tmp_path / "benchmarks-http.svg").exists()


def test_parts_that_were_measured_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    results.save("queues", {"Jobs": "1"}, {"jobs": 1, "runs": 1})
    results.save("queues", {"Runs": "2"}, {"runs": 2})
    found = results.load("queues")
    assert found is not None
    assert found["figures"] == {"jobs": 1, "runs": 2}
    assert found["tables"] == {"Jobs": "1", "Runs": "2"}


def test_a_timeline_shows_what_went_on_below_what_was_measured() -> None:
    each = {"late": [(0.0, 0.01), (50.0, 10.0), (100.0, 0.1)]}
    picture = timeline("Title", each, {"killed": [(50.0, 50.0), (60.0, 80.0)]})
    assert {"late", "killed", "0.01 s", "10 s", "100 s"} <= set(words_of(picture))
    found = re.findall(r'<rect class="f1" x="([\d.]+)" y="[\d.]+" height="12" width="([\d.]+)"', picture)
    (short, at_least), (later, long) = ((float(x), float(width)) for x, width in found)
    assert (at_least, later > short, long > 100) == (1, True, True)
