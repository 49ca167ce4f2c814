"""Tasks that have a city carry its weather."""

import time
from typing import Any

import pytest
from flask import Flask

from taskapi.background.names import Queue
from taskapi.clients.weather import make_weather
from taskapi.core.db import db
from taskapi.core.runtime import runtime_settings
from taskapi.tasks import weather as look_up
from tests.clients.servers import raw_server, silent
from tests.clients.weather.provider import FORECAST_PATH, PLACES_PATH, Provider, reply
from tests.people import Person
from tests.settings import settings_changed
from tests.work import queued

CLOUDY = {"temperature": 21.5, "condition": "Partly cloudy"}
TASK = {"title": "Sweep the terrace", "city": "Paris"}


def made(person: Person, **fields: Any) -> dict[str, Any]:
    answer = person.post("/api/tasks", {**TASK, **fields})
    assert answer.status_code == 201, answer.text
    task: dict[str, Any] = answer.json
    return task


def test_a_task_with_a_city_is_answered_with_its_weather(
    context: Flask, owner: Person, weather: Provider
) -> None:
    task = made(owner)
    assert task["weather"] == CLOUDY
    assert owner.get(f"/api/tasks/{task['id']}").json["weather"] == CLOUDY
    assert owner.get("/api/tasks").json["items"][0]["weather"] == CLOUDY
    assert queued(Queue.LATER) == []


def test_a_task_without_a_city_has_no_weather(owner: Person, weather: Provider) -> None:
    assert made(owner, city=None)["weather"] is None
    assert weather.asked == []


def test_a_task_of_an_outside_id_has_its_weather_too(owner: Person, weather: Provider) -> None:
    path = "/api/tasks/by-external-id/terrace"
    assert owner.put(path, TASK).json["weather"] == CLOUDY
    weather.temperature = 3
    changed = owner.put(path, {"city": "Lyon"}).json
    assert changed["weather"] == {**CLOUDY, "temperature": 3}
    assert weather.asked == ["Paris", "Lyon"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_city_has_its_own_weather(method: str, owner: Person, weather: Provider) -> None:
    path = f"/api/tasks/{made(owner)['id']}"
    weather.temperature, weather.code = -4, 73
    assert owner.call(method, path, {"city": "Oslo"}).json["weather"] == {
        "temperature": -4,
        "condition": "Snow",
    }
    assert owner.call(method, path, {"title": "Sweep the snow"}).json["weather"]["condition"] == "Snow"
    assert owner.call(method, path, {"city": None}).json["weather"] is None
    assert weather.asked == ["Paris", "Oslo"]


def test_the_same_city_keeps_the_weather_it_had(owner: Person, weather: Provider) -> None:
    task = made(owner)
    weather.breaks(lambda: reply({}, 500))
    again = owner.patch(f"/api/tasks/{task['id']}", {"city": "Paris"}).json
    assert (again["weather"], again["version"]) == (CLOUDY, 1)


def test_a_city_that_nobody_knows_is_kept_without_weather(owner: Person, weather: Provider) -> None:
    task = made(owner, city="Atlantis")
    assert (task["city"], task["weather"]) == ("Atlantis", None)


@pytest.mark.parametrize("status", [200, 401, 429, 500])
def test_a_provider_that_fails_makes_no_task_fail(status: int, owner: Person, weather: Provider) -> None:
    weather.breaks(lambda: reply("<html>", status))
    assert made(owner)["weather"] is None


def test_a_provider_that_hangs_holds_a_task_up_only_so_long(
    context: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_up, "AT_ONCE_SECONDS", 0.3)
    with raw_server(silent) as port, settings_changed(context, weather_base_url=f"http://127.0.0.1:{port}"):
        monkeypatch.setitem(context.extensions, "taskapi_weather", make_weather(runtime_settings()))
        started = time.monotonic()
        assert made(owner)["weather"] is None
        assert 0.3 <= time.monotonic() - started < 4


@pytest.mark.usefixtures("redis_away")
def test_without_redis_a_task_has_its_weather_all_the_same(owner: Person, weather: Provider) -> None:
    assert made(owner)["weather"] == CLOUDY


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "terrace-1"}], ids=["plain", "with a key"])
def test_no_connection_is_held_while_the_provider_is_asked(
    headers: dict[str, str], context: Flask, owner: Person, weather: Provider
) -> None:
    pool: Any = db.engine.pool
    db.session.remove()
    held = []

    def answer() -> Any:
        held.append(pool.checkedout())
        return reply({"current": {"temperature_2m": 21.5, "weather_code": 2}})

    weather.instead[FORECAST_PATH] = answer
    answers = [owner.post("/api/tasks", TASK, headers=headers) for _ in range(2)]
    assert [answer.json["weather"] for answer in answers] == [CLOUDY] * 2
    assert (answers[0].json["id"] == answers[1].json["id"]) is bool(headers)
    assert held == [0]


@pytest.mark.one_database
@pytest.mark.parametrize("city", [7, "", "x" * 101, ["Paris"], {"q": "Paris"}], ids=repr)
def test_what_is_no_city_is_refused_and_nobody_is_asked(city: Any, owner: Person, weather: Provider) -> None:
    answer = owner.post("/api/tasks", {**TASK, "city": city})
    assert answer.status_code == 422
    assert "city" in answer.json["errors"]
    assert weather.asked == []


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'["Paris"]', "application/json", 422),
        (b'{"city": "Paris"}', "text/plain", 415),
        (b"\xff", "application/json", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_as_ever(
    body: bytes, kind: str, status: int, owner: Person, weather: Provider
) -> None:
    assert owner.post("/api/tasks", data=body, content_type=kind).status_code == status


@pytest.mark.one_database
def test_who_is_not_signed_in_makes_nobody_ask(owner: Person, weather: Provider) -> None:
    assert owner.client.post("/api/tasks", json=TASK).status_code == 401
    assert weather.asked == []


@pytest.mark.one_database
@pytest.mark.parametrize("path", [PLACES_PATH, FORECAST_PATH])
def test_half_an_answer_is_none(path: str, owner: Person, weather: Provider) -> None:
    weather.instead[path] = lambda: reply({"results": [{}], "current": {"temperature_2m": 3}})
    assert made(owner)["weather"] is None
