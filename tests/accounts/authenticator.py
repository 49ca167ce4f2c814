"""An authenticator app, and what several tests of the second factor do."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyotp
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from taskapi.core import clock
from tests.accounts.helpers import body
from tests.people import PASSWORD, Person

if TYPE_CHECKING:
    from tests.people import Answer

PATH = "/api/auth/me/second-factor"
STEP = 30


@dataclass
class StandingClock:
    """A clock in the middle of a time step, that goes on when it is told to."""

    now: datetime = field(default_factory=lambda: middle_of_step(clock.now()))

    def forward(self, *, steps: float = 1) -> None:
        self.now += timedelta(seconds=STEP * steps)


def middle_of_step(moment: datetime) -> datetime:
    return moment - timedelta(seconds=moment.timestamp() % STEP - STEP / 2)


@dataclass
class Authenticator:
    """A person's app that knows the secret, and their recovery codes."""

    person: Person
    secret: str
    recovery_codes: list[str] = field(default_factory=list)

    def code(self, *, steps: int = 0) -> str:
        """The digits that the app shows, some steps from now."""
        return pyotp.TOTP(self.secret).at(clock.now(), counter_offset=steps)

    def wrong_code(self) -> str:
        """Six digits that are right neither now nor a few steps around."""
        near = {self.code(steps=steps) for steps in range(-5, 6)}
        return next(
            code
            for code in ("000000", "111111", "222222", *map(str, range(333333, 333350)))
            if code not in near
        )


def begin(person: Person, password: str = PASSWORD) -> "Answer":
    return person.post(PATH, {"password": password})


def confirm(person: Person, code: str) -> "Answer":
    return person.post(f"{PATH}/confirm", {"code": code})


def renew(person: Person, password: str = PASSWORD) -> "Answer":
    """Ask for new recovery codes."""
    return person.post(f"{PATH}/recovery-codes", {"password": password})


def remove(person: Person, code: str, password: str = PASSWORD) -> "Answer":
    return person.delete(PATH, json={"password": password, "code": code})


def enable(person: Person, time: StandingClock) -> Authenticator:
    """Set an app up, and wait until its next code."""
    app = Authenticator(person, begin(person).json["secret"])
    app.recovery_codes = confirm(person, app.code()).json["recovery_codes"]
    time.forward()
    return app


def sign_in(client: FlaskClient, person: Person, password: str = PASSWORD, **sent: Any) -> TestResponse:
    return client.post("/api/auth/login", json={"email": person.email, "password": password, **sent})


def codes_left(person: Person) -> int:
    left: int = body(person.get(PATH))["recovery_codes_left"]
    return left
