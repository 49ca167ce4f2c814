"""The example for nginx."""

from pathlib import Path
from typing import Any

import crossplane  # type: ignore[import-untyped]
import pytest

from taskapi.config import load_settings
from taskapi.ops import gunicorn_settings
from tests.deployment.reading import REPOSITORY, read

Block = list[dict[str, Any]]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Block:
    """What the example brings into nginx' block ``http``."""
    main = tmp_path_factory.mktemp("nginx") / "nginx.conf"
    example = Path(REPOSITORY, "deploy/nginx/taskapi.conf")
    main.write_text(f"events {{}}\nhttp {{ include {example}; }}\n")
    parsed = crossplane.parse(str(main), strict=False, combine=True)
    assert parsed["errors"] == []
    (block,) = find(parsed["config"][0]["parsed"], "http")
    found: Block = block["block"]
    return found


def find(block: Block, name: str) -> Block:
    return [line for line in block if line["directive"] == name]


def value(block: Block, name: str) -> list[str]:
    (line,) = find(block, name)
    words: list[str] = line["args"]
    return words


@pytest.fixture(scope="module")
def encrypted(http: Block) -> Block:
    """The server that answers by https."""
    servers: list[Block] = [server["block"] for server in find(http, "server")]
    (server,) = [block for block in servers if any("ssl" in line["args"] for line in find(block, "listen"))]
    return server


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "h": 3600}[text[-1]]


def test_it_tells_who_asked_and_how_and_passes_on_nothing_that_was_claimed(encrypted: Block) -> None:
    headers = dict(line["args"] for line in find(encrypted, "proxy_set_header"))
    assert headers["X-Forwarded-For"] == "$proxy_add_x_forwarded_for"
    assert headers["X-Forwarded-Proto"] == "$scheme"
    assert headers["X-Forwarded-Host"] == headers["Host"] == "$host"
    # A block of its own with any of them would lose all of these.
    locations = find(encrypted, "location")
    assert not [place["args"] for place in locations if find(place["block"], "proxy_set_header")]


def test_websockets_are_passed_on_and_live_events_not_held_back(encrypted: Block) -> None:
    assert value(encrypted, "proxy_http_version") == ["1.1"]
    (live,) = [place for place in find(encrypted, "location") if "ws" in place["args"][-1]]
    assert "api/events" in live["args"][-1]
    assert value(live["block"], "proxy_buffering") == ["off"]


def test_it_knocks_where_systemd_listens(http: Block) -> None:
    (upstream,) = find(http, "upstream")
    (address,) = value(upstream["block"], "server")
    assert f"ListenStream={address}\n" in read("deploy/systemd/taskapi-web.socket")


def test_its_times_fit_those_of_gunicorn(http: Block, encrypted: Block) -> None:
    (upstream,) = find(http, "upstream")
    assert seconds(value(upstream["block"], "keepalive_timeout")[0]) < gunicorn_settings.keepalive
    assert seconds(value(encrypted, "proxy_read_timeout")[0]) > gunicorn_settings.timeout


def test_the_largest_import_comes_through(encrypted: Block) -> None:
    settings = load_settings({"SECRET_KEY": "x" * 32})
    (limit,) = value(encrypted, "client_max_body_size")
    assert int(limit.removesuffix("m")) * 2**20 > max(settings.max_import_size, settings.max_file_size)


def test_figures_and_queues_are_for_this_machine_alone(encrypted: Block) -> None:
    (inner,) = [place for place in find(encrypted, "location") if "metrics" in place["args"][-1]]
    assert "admin/rq" in inner["args"][-1]
    assert [line["args"][0] for line in find(inner["block"], "allow")] == ["127.0.0.1", "::1"]
    assert value(inner["block"], "deny") == ["all"]


def test_addresses_that_are_secrets_do_not_stand_in_its_log(http: Block, encrypted: Block) -> None:
    (name,) = value(encrypted, "access_log")[1:]
    logged = "".join(value(http, "log_format")[1:])
    assert value(http, "log_format")[0] == name
    assert not [
        word for word in ("$request ", "$request_uri", "$uri", "$args", "$http_referer") if word in logged
    ]
