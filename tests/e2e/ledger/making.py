"""Creating what was planned over the API, however often its servers are killed meanwhile."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import cycle

import requests

from tests.e2e.installation import ApiUser
from tests.e2e.ledger.plans import Planned

PATIENCE_SECONDS, TIMEOUT = 120.0, 20.0
# Nothing is asked for that would be due before the answer.
LEAD = timedelta(seconds=5)
AGAIN = frozenset({HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})


class Maker:
    """Asks web servers by turns until one has answered; its key tells that it is one request.

    Args:
        users: who owns schedules, by their addresses.

    Attributes:
        made: the plans that were answered with 201, by the id of the schedule.
        unanswered: how often there was no answer, or one that asked for another try.
    """

    def __init__(self, users: Mapping[str, ApiUser], addresses: Iterable[str]) -> None:
        self._addresses = cycle(list(addresses))
        self._users, self._lock = users, threading.Lock()
        self.made: dict[str, Planned] = {}
        self.unanswered = 0

    def make_all(self, plans: Iterable[Planned], *, at_once: int = 4) -> None:
        """Create them all, so many at a time.

        Raises:
            AssertionError: one was refused, or was not answered for too long.
        """
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self._make, plans))

    def _make(self, planned: Planned) -> None:
        key = planned.body["name"].replace(" ", "-")
        for number in self._tries():
            if number == 0 and datetime.now(UTC) + LEAD > planned.first:
                return
            answer = self._ask(key, planned)
            if answer is None:
                with self._lock:
                    self.unanswered += 1
                continue
            if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY and datetime.now(UTC) >= planned.first:
                # Nobody has made it: that would be told. It took until it was past.
                return
            assert answer.status_code == HTTPStatus.CREATED, answer.text
            with self._lock:
                self.made[answer.json()["id"]] = planned
            return
        raise AssertionError(f"{key} was not answered within {PATIENCE_SECONDS} s")

    def _tries(self) -> Iterator[int]:
        end, number = time.monotonic() + PATIENCE_SECONDS, 0
        while time.monotonic() < end:
            yield number
            number += 1
            time.sleep(0.2)

    def _ask(self, key: str, planned: Planned) -> requests.Response | None:
        """The answer, unless there is none or it says that another try may go better."""
        with self._lock:
            address = next(self._addresses)
        token = self._users[planned.owner].token
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        try:
            answer = requests.post(
                f"{address}/api/schedules", json=planned.body, headers=headers, timeout=TIMEOUT
            )
        except requests.RequestException:
            return None
        return None if answer.status_code >= 500 or answer.status_code in AGAIN else answer
