"""Redis over TLS with a certificate that nobody signed, as Heroku has it: ``rediss://`` just works there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from taskapi.background.connection import open_redis
from taskapi.background.listening import listen
from taskapi.config import Settings, load_settings
from tests.background.tls import encrypted


@pytest.fixture
def port(redis_url: str) -> Iterator[int]:
    with encrypted(unquote(urlsplit(redis_url).path)) as found:
        yield found


def settings_at(port: int, tmp_path: Path, query: str = "", **values: str) -> Settings:
    url = f"rediss://localhost:{port}/0{query}"
    return load_settings({"REDIS_URL": url, "DATA_DIR": str(tmp_path), **values})


def test_on_heroku_such_a_certificate_is_taken(port: int, tmp_path: Path) -> None:
    with open_redis(settings_at(port, tmp_path, DYNO="web.1")) as redis:
        assert redis.ping()


def test_elsewhere_it_is_refused(port: int, tmp_path: Path) -> None:
    with (
        open_redis(settings_at(port, tmp_path)) as redis,
        pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        redis.ping()


def test_what_the_url_says_itself_holds(port: int, tmp_path: Path) -> None:
    with open_redis(settings_at(port, tmp_path, "?ssl_cert_reqs=none")) as redis:
        assert redis.ping()
    strict = settings_at(port, tmp_path, "?ssl_cert_reqs=required", DYNO="web.1")
    with open_redis(strict) as redis, pytest.raises(RedisConnectionError):
        redis.ping()


def test_what_is_published_is_heard_over_it(port: int, tmp_path: Path) -> None:
    settings = settings_at(port, tmp_path, DYNO="web.1")

    async def publish_until_heard() -> None:
        heard = asyncio.Event()
        listening = asyncio.create_task(listen(settings, "news", heard.set))
        with open_redis(settings) as redis:
            while not heard.is_set():
                redis.publish("news", "one")
                await asyncio.sleep(0.02)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    asyncio.run(asyncio.wait_for(publish_until_heard(), 5))
