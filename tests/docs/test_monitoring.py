"""docs/monitoring: rules and dashboard name what there is, and the runbook knows every alert."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml  # type: ignore[import-untyped]
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from taskapi.core.db import transaction
from taskapi.ops import audit, service
from taskapi.ops.counted import METERS
from tests.e2e.installation import REPOSITORY

DOCS = REPOSITORY / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
FOLDER = DOCS / "monitoring"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*"}
# Prometheus adds them, and the parser takes the name for one.
OF_PROMETHEUS = {"job", "instance", "__name__"}

pytestmark = pytest.mark.one_database


@pytest.fixture
def labels(context: Flask, client: FlaskClient) -> dict[str, set[str]]:
    """The labels of each metric that there is, by its name."""
    with transaction():
        service.beat(name="scheduler-1", kind="scheduler")
    audit.audit()
    client.get("/health")
    text = client.get("/metrics").text
    found: dict[str, set[str]] = {"up": set()}
    for meter in METERS:
        for suffix in ("", "_bucket", "_sum", "_count"):
            found[meter.name + suffix] = {*meter.labels, *(["le"] if suffix == "_bucket" else [])}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def selectors(expression: str) -> list[Any]:
    """Each metric that the expression asks for; it must parse."""
    found: list[Any] = []

    def look(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(expression), look)
    return found


def test_every_expression_asks_for_metrics_and_labels_that_there_are(labels: dict[str, set[str]]) -> None:
    asked = list(expressions())
    assert len(asked) > 50
    for title, expression in asked:
        used = selectors(expression)
        assert used, title
        for selector in used:
            assert selector.name in labels, f"{title}: {selector.name}"
            wanted = {matcher.name for matcher in selector.matchers.matchers} - OF_PROMETHEUS
            assert wanted <= labels[selector.name], f"{title}: {wanted}"
        grouped = {
            name.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for name in group.split(",")
        }
        known = set().union(*(labels[selector.name] for selector in used))
        assert grouped - OF_PROMETHEUS <= known, f"{title}: {grouped}"


def test_every_metric_is_told_of_and_all_but_a_few_are_shown(labels: dict[str, set[str]]) -> None:
    names = {
        re.sub(r"_(bucket|sum|count|created)$", "", name) for name in labels if name.startswith("taskapi_")
    }
    told = set(re.findall(r"`(taskapi_[a-z_]+)", OPERATIONS))
    assert names - told == set()
    shown = {selector.name for _, expression in expressions() for selector in selectors(expression)}
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert names - shown <= {"taskapi_files"}


def test_the_runbook_has_a_section_for_each_alert_and_no_others() -> None:
    sections = re.findall(r"^### Alert: (.+)$", OPERATIONS, re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]


def test_the_tests_of_rules_know_each_critical_alert() -> None:
    tests = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    fired = {
        test["alertname"] for each in tests for test in each["alert_rule_test"] if test.get("exp_alerts")
    }
    critical = {rule["alert"] for rule in RULES if rule["labels"]["severity"] == "critical"}
    assert fired <= {rule["alert"] for rule in RULES}
    assert critical - fired <= {"TaskapiDown", "FilesDamaged"}


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
