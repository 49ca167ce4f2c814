"""The job and the sweep that fill in weather that could not be given at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from taskapi.background.connection import redis_client
from taskapi.background.names import Queue
from taskapi.clients.weather import breaker
from taskapi.core import clock
from taskapi.core.db import session, transaction
from taskapi.core.ids import new_id
from taskapi.tasks import weather_filling
from taskapi.tasks.jobs import fill_weather, sweep_weather
from taskapi.tasks.models import Task
from tests.clients.weather.provider import Provider, reply
from tests.events.following import now, told
from tests.people import Person
from tests.tasks.test_weather_of_tasks import CLOUDY, made
from tests.work import queued, run_jobs


@pytest.fixture
def down(context: Flask, weather: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider is down, and asked again as soon as it is up."""
    monkeypatch.setattr(breaker, "PAUSE_SECONDS", 0)
    weather.breaks(lambda: reply({}, 503))
    return weather


def weather_of(person: Person, task: dict[str, Any]) -> Any:
    return person.get(f"/api/tasks/{task['id']}").json["weather"]


def change(task: dict[str, Any], **values: Any) -> None:
    with transaction():
        session().execute(sa.update(Task).where(Task.id == UUID(task["id"])).values(**values))


def test_weather_that_was_not_to_be_had_is_filled_in_later(app: Flask, owner: Person, down: Provider) -> None:
    task = made(owner)
    down.instead.clear()
    assert run_jobs(app) == 1
    assert weather_of(owner, task) == CLOUDY


def test_a_changed_city_is_filled_in_later_too(app: Flask, owner: Person, down: Provider) -> None:
    task = made(owner, city=None)
    assert queued(Queue.LATER) == []
    owner.patch(f"/api/tasks/{task['id']}", {"city": "Lyon"})
    down.instead.clear()
    run_jobs(app)
    assert weather_of(owner, task) == CLOUDY
    assert down.asked == ["Lyon", "Lyon"]


def test_it_is_no_edit_but_seen_by_all_who_see_the_task(
    app: Flask, owner: Person, teammate: Person, down: Provider
) -> None:
    task = made(owner, assignee_id=str(teammate.id))
    path = f"/api/tasks/{task['id']}"
    before = owner.get(path)
    lists = [person.get("/api/tasks").json["items"] for person in (owner, teammate)]
    assert [items[0]["weather"] for items in lists] == [None, None]
    history = owner.get(f"{path}/history").json
    since = {person.id: now(person) for person in (owner, teammate)}
    # A request would go on with this transaction, and see what it sees.
    session().rollback()
    down.instead.clear()
    run_jobs(app)

    after = owner.get(path)
    assert after.headers["ETag"] != before.headers["ETag"]
    assert after.json == {**before.json, "weather": CLOUDY}
    assert owner.get(path, headers={"If-None-Match": before.headers["ETag"]}).status_code == 200
    lists = [person.get("/api/tasks").json["items"] for person in (owner, teammate)]
    assert [items[0]["weather"] for items in lists] == [CLOUDY, CLOUDY]
    assert owner.get(f"{path}/history").json == history
    for person in (owner, teammate):
        assert [(kind, data["weather"]) for kind, data in told(person, since[person.id])] == [
            ("task.weather_filled", CLOUDY)
        ]


def test_one_job_fills_in_all_tasks_of_a_city(app: Flask, owner: Person, down: Provider) -> None:
    tasks = [{"title": f"Task {number}", "city": city} for number in range(3) for city in ("Paris", "Oslo")]
    assert owner.post("/api/tasks/bulk", {"tasks": tasks}).status_code == 201
    assert len(queued(Queue.LATER)) == 2
    down.instead.clear()
    run_jobs(app)
    found = owner.get("/api/tasks").json["items"]
    assert [task["weather"] for task in found] == [CLOUDY] * 6
    assert sorted(down.asked) == ["Oslo", "Paris"]


def test_many_tasks_are_filled_in_by_pieces(
    app: Flask, owner: Person, down: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weather_filling, "BATCH", 2)
    tasks = [made(owner) for _ in range(5)]
    down.instead.clear()
    fill_weather(tasks[3]["id"])
    assert [weather_of(owner, task) for task in tasks] == [CLOUDY] * 5


LATE: dict[str, Callable[[], dict[str, Any]]] = {
    "has another city": lambda: {"city": "Lyon"},
    "has no city": lambda: {"city": None},
    "is deleted": lambda: {"deleted_at": clock.now()},
    "is filled in": lambda: {"weather": {"temperature": 1.0, "condition": "Fog"}, "weather_at": clock.now()},
    "waits for days": lambda: {"updated_at": clock.now() - timedelta(hours=25)},
}


@pytest.mark.parametrize("why", LATE)
def test_what_changed_while_the_provider_was_asked_is_left_alone(
    why: str, owner: Person, down: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = made(owner)
    values = LATE[why]()
    asked = []

    def ask(city: str, **_seconds: float) -> dict[str, Any]:
        asked.append(city)
        change(task, **values)
        return CLOUDY

    monkeypatch.setattr(weather_filling, "weather_of", ask)
    fill_weather(task["id"])
    assert asked == ["Paris"]
    assert session().scalar(sa.select(Task.weather).where(Task.id == UUID(task["id"]))) == values.get(
        "weather"
    )


@pytest.mark.parametrize("why", LATE)
def test_for_a_task_that_needs_no_weather_nobody_is_asked(why: str, owner: Person, down: Provider) -> None:
    task = made(owner)
    change(task, **LATE[why]() | ({} if why != "has another city" else {"city": None}))
    down.asked.clear()
    fill_weather(task["id"])
    sweep_weather()
    assert down.asked == []


def test_a_job_may_be_run_twice_and_for_a_task_that_is_gone(owner: Person, down: Provider) -> None:
    task = made(owner)
    down.instead.clear()
    for task_id in (task["id"], task["id"], str(new_id())):
        fill_weather(task_id)
    assert weather_of(owner, task) == CLOUDY
    assert down.asked == ["Paris", "Paris"]


def test_a_job_that_finds_the_provider_down_leaves_the_task_to_the_sweep(
    app: Flask, owner: Person, down: Provider
) -> None:
    task = made(owner)
    run_jobs(app)
    assert weather_of(owner, task) is None
    down.instead.clear()
    sweep_weather()
    assert weather_of(owner, task) == CLOUDY


def test_a_city_that_nobody_knows_is_asked_for_no_more(app: Flask, owner: Person, down: Provider) -> None:
    made(owner, city="Atlantis")
    down.instead.clear()
    sweep_weather()
    redis_client().flushdb()
    sweep_weather()
    assert down.asked == ["Atlantis", "Atlantis"]


@pytest.mark.usefixtures("redis_away")
def test_what_redis_lost_is_found_by_the_sweep(owner: Person, down: Provider) -> None:
    tasks = [made(owner, city=city) for city in ("Paris", "Oslo", "Paris")]
    down.instead.clear()
    down.asked.clear()
    sweep_weather()
    assert [weather_of(owner, task) for task in tasks] == [CLOUDY] * 3
    # Each city once.
    assert sorted(down.asked) == ["Oslo", "Paris"]


def test_a_sweep_takes_the_cities_that_wait_for_longest(
    owner: Person, down: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weather_filling, "ROUND_CITIES", 2)
    for hours, city in enumerate(("Paris", "Oslo", "Rome")):
        change(made(owner, city=city), updated_at=clock.now() - timedelta(hours=hours))
    down.instead.clear()
    down.asked.clear()
    sweep_weather()
    assert sorted(down.asked) == ["Oslo", "Rome"]
    sweep_weather()
    assert down.asked[2:] == ["Paris"]


def test_a_city_whose_answer_nobody_can_read_does_not_keep_others_from_theirs(
    owner: Person, down: Provider
) -> None:
    odd, task = made(owner, city="Oslo"), made(owner)
    down.instead.clear()
    down.odd_cities.add("Oslo")
    sweep_weather()
    assert [weather_of(owner, odd), weather_of(owner, task)] == [None, CLOUDY]


def test_nothing_is_done_when_the_weather_is_switched_off(
    context: Flask, owner: Person, provider: Provider
) -> None:
    task = made(owner)
    fill_weather(task["id"])
    sweep_weather()
    assert queued(Queue.LATER) == []
    assert (weather_of(owner, task), provider.asked) == (None, [])
