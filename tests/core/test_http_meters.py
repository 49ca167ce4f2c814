"""Requests as figures, by route: whoever sends nonsense makes no new series."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from taskapi.core.http_meters import count_request
from taskapi.core.runtime import runtime_settings
from tests.counted import since_now
from tests.people import Person
from tests.timed import work_of

REQUESTS, DURATION = "taskapi_http_requests_total", "taskapi_http_request_duration_seconds"
pytestmark = pytest.mark.one_database


def test_requests_are_counted_by_route_and_status(app: Flask, owner: Person) -> None:
    requests, durations = since_now(app, REQUESTS), since_now(app, DURATION)
    for number in range(3):
        owner.get(f"/api/tasks/01890000-0000-7000-8000-{number:012}")
    owner.get("/api/tasks")
    owner.post("/api/tasks", {})
    route = "/api/tasks/<uuid:task_id>"
    assert requests() == {
        ("GET", route, "404"): 3,
        ("GET", "/api/tasks", "200"): 1,
        ("POST", "/api/tasks", "422"): 1,
    }
    assert durations() == {("GET", route): 3, ("GET", "/api/tasks"): 1, ("POST", "/api/tasks"): 1}


def test_paths_and_methods_that_nobody_serves_are_one_series(app: Flask, client: FlaskClient) -> None:
    requests = since_now(app, REQUESTS)
    for number in range(5):
        client.get(f"/wp-login-{number}.php")
        client.open("/nowhere", method=f"BREW{number}")
    client.open("/api/tasks", method="BREW")
    assert requests() == {("GET", "none", "404"): 5, ("other", "none", "404"): 5, ("other", "none", "405"): 1}


def test_no_request_fails_when_nothing_can_be_counted(app: Flask, client: FlaskClient) -> None:
    tallies = app.extensions["taskapi_tallies"]
    with app.app_context():
        place = runtime_settings().data_dir / "taskapi.db"
    assert place.is_file()
    app.extensions["taskapi_tallies"] = type(tallies)(place, "web")
    try:
        assert client.get("/health").status_code == 200
        answer = client.get("/metrics")
    finally:
        app.extensions["taskapi_tallies"] = tallies
    assert answer.status_code == 200


def test_counting_costs_little_beside_the_cheapest_request(app: Flask, client: FlaskClient) -> None:
    def ask() -> None:
        for _ in range(50):
            client.get("/health")

    def price() -> float:
        with_it, without = [], []
        for _ in range(20):
            with_it.append(work_of(ask))
            app.after_request_funcs[None] = [hook for hook in hooks if hook is not count_request]
            without.append(work_of(ask))
            app.after_request_funcs[None] = hooks
        return min(with_it) / min(without)

    hooks = app.after_request_funcs[None]
    ask()
    # A busy machine may spoil one comparison.
    assert min(price() for _ in range(3)) < 1.5
