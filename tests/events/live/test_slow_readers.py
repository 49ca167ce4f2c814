"""Who does not take what is theirs costs little and is dropped; who is only slow gets everything."""

import asyncio
import time as clock
import tracemalloc
from collections.abc import Callable
from uuid import uuid4

import pytest
from websockets.frames import Frame, Opcode

from taskapi.core import clock as times
from taskapi.core.events import Event
from taskapi.core.following import Readers
from taskapi.events.live import connection
from taskapi.events.live.connection import Connection
from taskapi.events.live.readers import Batch
from taskapi.events.messages import Telling
from tests.events.live.listening import Listening
from tests.people import Person
from tests.tasks.making import make_task, path_of

KILOBYTE = 1024
SIZE = 10 * KILOBYTE


def wait_until(condition: Callable[[], bool]) -> None:
    end = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < end
        clock.sleep(0.005)


def test_who_is_slow_gets_everything_in_order(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HIGH_WATER_BYTES", 4 * KILOBYTE)
    slow, quick = listening.websocket(owner), listening.websocket(owner)
    wait_until(lambda: len(listening.live.connections) == 2)
    task = make_task(owner, description="x" * 9000)
    for number in range(40):
        owner.patch(path_of(task), {"title": str(number)})
    listening.relay()
    told = [quick.message()["id"] for _ in range(41)]
    # More than all buffers on the way take.
    assert any(not one.is_live for one in listening.live.connections)
    assert [slow.message()["id"] for _ in range(41)] == told
    assert slow.is_silent()
    owner.patch(path_of(task), {"title": "after all"})
    listening.relay()
    assert slow.message()["data"]["title"] == "after all"


def batch_of(owner: Person, first: int, number: int) -> Batch:
    """Events of ten kilobytes each, as they are read from the log."""
    tellings = []
    for position in range(first, first + number):
        ids = {"id": uuid4(), "position": position, "subject_id": uuid4(), "created_at": times.now()}
        event = Event(type="task.updated", subject_type="task", **ids)
        tellings.append(Telling(event, Readers(frozenset({owner.id})), {"title": "x" * SIZE}))
    return Batch(first - 1, first + number - 1, tellings, {}, is_full=True)


def unsent(one: Connection) -> int:
    return one._transport.get_write_buffer_size()


@pytest.mark.one_database
@pytest.mark.parametrize("number", [1000, pytest.param(20_000, marks=pytest.mark.soak)])
def test_memory_stays_flat_while_two_who_read_nothing_miss_events(
    listening: Listening, owner: Person, number: int
) -> None:
    stuck = [listening.websocket(owner), listening.stream(owner)]
    reading = listening.websocket(owner)
    wait_until(lambda: len(listening.live.connections) == 3)
    hub, loop = listening.live.hub, listening.live.loop
    hub.position = 0
    tracemalloc.start()
    for first in range(1, number + 1, 5):
        asyncio.run_coroutine_threadsafe(hub.deliver(batch_of(owner, first, 5)), loop).result(10)
        received = 0
        while received < 5 * SIZE:
            received += len(reading.sock.recv(65_536))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert hub.position == number
    behind = [one for one in listening.live.connections if not one.is_live]
    assert len(behind) == len(stuck)
    assert all(unsent(one) < connection.HIGH_WATER_BYTES + 2 * SIZE for one in behind)
    # Of the 10 MB that were told at least.
    assert peak < 5000 * KILOBYTE


@pytest.mark.one_database
def test_who_takes_nothing_for_long_is_dropped(
    listening: Listening, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "STALLED_SECONDS", 0.1)
    stuck = listening.websocket(owner)
    listening.stream(owner)
    wait_until(lambda: len(listening.live.connections) == 2)
    listening.live.hub.position = 0
    batch = batch_of(owner, 1, 200)
    asyncio.run_coroutine_threadsafe(listening.live.hub.deliver(batch), listening.live.loop).result(10)
    listening.wait_for_connections(0)
    stuck.breaks()


@pytest.mark.one_database
def test_who_asks_and_does_not_listen_is_asked_no_more(listening: Listening, owner: Person) -> None:
    """Answers to pings that nobody takes pile up to the limit and no further."""
    client = listening.websocket(owner)
    wait_until(lambda: len(listening.live.connections) == 1)
    (one,) = listening.live.connections
    batch = batch_of(owner, 1, 200)
    listening.live.hub.position = 0
    asyncio.run_coroutine_threadsafe(listening.live.hub.deliver(batch), listening.live.loop).result(10)
    assert one.is_full
    before = unsent(one)
    client.sock.settimeout(0.05)
    questions = Frame(Opcode.PING, b"there?").serialize(mask=True) * 100_000
    with pytest.raises(TimeoutError):
        client.sock.sendall(questions)
    assert unsent(one) == before
