"""No secret of people, or of the operator, stands in a log, answer, Redis or audit trail."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pytest_httpserver import HTTPServer
from redis import Redis

from taskapi.core import clock
from taskapi.core.json import load_strict
from taskapi.events.audit.export import export_lines
from taskapi.events.audit.queries import AuditFilter
from taskapi.events.audit.refusals import write_refusals
from taskapi.schedules.actions import registry
from tests.accounts.authenticator import StandingClock, enable
from tests.core.conftest import Log
from tests.people import PASSWORD, Person
from tests.security import flows, operators
from tests.security.marking import everything_in, everything_in_redis, problems_of, values_in_redis
from tests.smtp import MailServer
from tests.work import tick

# What begins a pickle of protocol 2 and later, and what zlib has packed, as RQ packs pickles.
PICKLED, PACKED = b"\x80", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")
DATA, META = b"data", b"meta"


@pytest.fixture
def time() -> Iterator[StandingClock]:
    """Steps of the codes of an authenticator app are counted by it."""
    standing = StandingClock()
    with clock.use(lambda: standing.now):
        yield standing


@pytest.fixture
def lock() -> Iterator[None]:
    registry.register(flows.LOCK)
    yield
    registry.unregister("lock")


@pytest.fixture
def lived(
    app: Flask,
    client: FlaskClient,
    owner: Person,
    teammate: Person,
    admin: Person,
    time: StandingClock,
    lock: None,
    mail_server: MailServer,
    receiver: HTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], list[str]]:
    """Has people do all of it; the secrets that they met."""

    def live() -> list[str]:
        found = [PASSWORD, owner.access_token, owner.refresh_token, admin.access_token]
        found += flows.recover(app, client, teammate, mail_server)
        found += flows.sign_up(client)
        found += flows.use_second_factor(client, enable(admin, time))
        found += flows.use_tokens(client, owner)
        found += flows.use_addresses(client, owner)
        found += flows.use_webhooks(app, owner, receiver)
        found += flows.fail_jobs(app, owner)
        found += flows.break_the_database(owner, monkeypatch)
        found += flows.lose_the_mail_server(app, owner)
        found += operators.ask_for_figures(app, client)
        found += operators.lose_the_weather(app, owner, receiver)
        found += operators.lose_sendgrid(app, owner, monkeypatch)
        found += operators.lose_the_store(app, owner, receiver, tmp_path)
        found.append(app.extensions["taskapi_settings"].secret_key)
        with app.app_context():
            write_refusals()
        tick(app)
        return found

    return live


def standing_in(secrets: list[str], text: str) -> list[str]:
    assert all(len(secret) > 7 for secret in secrets)
    return [secret for secret in secrets if secret in text]


def ping_tokens(person: Person) -> set[str]:
    """Of heartbeat checks: shown again and again, so kept as they are; they do no more than report a job."""
    items = person.get("/api/schedules").json["items"]
    return {item["ping_url"].rpartition("/")[2] for item in items if item["ping_url"]}


def test_no_secret_is_logged_answered_queued_audited_or_stored(
    app: Flask, owner: Person, lived: Callable[[], list[str]], log_to: Callable[..., Log]
) -> None:
    log = log_to(LOG_LEVEL="DEBUG")
    with problems_of(app) as problems:
        secrets = lived()
    with app.app_context():
        trail = b"".join(export_lines(AuditFilter())).decode()
    places = {
        "the log": (log.text, "run.raised"),
        "problems": ("\n".join(problems), "invalid_one_time_token"),
        "Redis": (everything_in_redis(app), "deliver_email"),
        "the audit trail": (trail, "access.refused"),
        "events": (everything_in(app, "events"), "sign_in.failed"),
        "the database": (everything_in(app), "$argon2"),
    }
    for name, (text, known) in places.items():
        assert known in text, f"{name}: nothing was found to look through"
    found = {name: standing_in(secrets, text) for name, (text, _known) in places.items()}
    assert {name: set(each) for name, each in found.items() if each} == {"the database": ping_tokens(owner)}


@pytest.mark.one_database
def test_what_is_queued_is_json_and_nothing_in_redis_is_a_pickle(
    app: Flask, lived: Callable[[], list[str]], redis_url: str
) -> None:
    lived()
    found = values_in_redis(app)
    jobs = [key for key in found if key.startswith("rq:job:")]
    assert len(jobs) > 10
    with Redis.from_url(redis_url) as redis:
        fields = [redis.hgetall(key) for key in jobs]
    for name in (DATA, META):
        for value in (each[name] for each in fields if name in each):
            load_strict(value)
    starts = {value[:2] for values in found.values() for value in values}
    assert [start for start in starts if start.startswith(PICKLED) or start in PACKED] == []
