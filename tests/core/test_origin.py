"""Where an act comes from."""

import os
import pwd

import pytest
from flask import Flask

from taskapi.core.origin import acting_via, current_address, describe_origin


def test_outside_of_requests_it_is_the_process() -> None:
    with acting_via("worker"):
        assert (describe_origin(), current_address()) == ({"via": "worker"}, None)
        with acting_via("cli"):
            name = pwd.getpwuid(os.getuid()).pw_name
            assert describe_origin() == {"via": "cli", "os_user": name}
        assert describe_origin() == {"via": "worker"}


def test_a_user_that_the_system_does_not_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)
    monkeypatch.setenv("LOGNAME", "somebody-else")
    with acting_via("cli"):
        assert describe_origin() == {"via": "cli", "os_user": "4000123"}


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("", None),
    ],
)
def test_in_a_request_it_is_the_client(app: Flask, peer: str, address: str | None) -> None:
    headers = {"User-Agent": "x" * 1000}
    with (
        app.test_request_context("/", environ_base={"REMOTE_ADDR": peer}, headers=headers),
        acting_via("cli"),
    ):
        assert current_address() == address
        assert describe_origin() == {"via": "api", "user_agent": "x" * 200}
