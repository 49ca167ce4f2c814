"""Settings: where they come from, what they default to, and how wrong ones are refused."""

import ast
import os
import re
import stat
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
import sqlalchemy as sa
from redis import ConnectionPool

from taskapi import config, config_files, config_operations, config_tasks
from taskapi.config import MailSettings, Settings, load_settings
from taskapi.config_files import DEFAULT_FILE_TYPES, StorageSettings
from taskapi.environment import ConfigError, Rate

REPOSITORY = Path(__file__).parents[1]
SECRET = "k9#mQ2vX-7pL0sT4wZ8yB6nD3fG5hJ1c"
# Set by the Heroku platform; not a setting of ours.
OF_THE_PLATFORM = {"DYNO"}


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Reads settings of an installation in a directory of its own."""

    def load(**values: str) -> Settings:
        return load_settings({"DATA_DIR": str(tmp_path), "SECRET_KEY": SECRET, **values})

    return load


@pytest.fixture
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without ``.env`` and an environment without settings."""
    for name in os.environ:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_settings_everything_has_its_default(empty_environment: Path) -> None:
    data_dir = empty_environment / "var"
    settings = load_settings()
    assert settings == Settings(
        environment="development",
        secret_key=settings.secret_key,
        data_dir=data_dir,
        database_url=f"sqlite:///{data_dir}/taskapi.db",
        redis_url=settings.redis_url,
        redis_is_embedded=True,
        storage=StorageSettings(directory=data_dir / "files"),
    )


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("TASKAPI_ENV", "Production", "environment", "production"),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("DYNO", "web.1", "host", "0.0.0.0"),
        ("PORT", "65535", "port", 65535),
        ("PORT", "8100", "public_url", "http://127.0.0.1:8100"),
        ("PUBLIC_URL", "https://tasks.example.org/", "public_url", "https://tasks.example.org"),
        ("APP_NAME", "Büro", "app_name", "Büro"),
        ("WEB_CONCURRENCY", "8", "web_concurrency", 8),
        ("WORKER_THREADS", "8", "worker_threads", 8),
        ("DB_POOL_SIZE", "7", "db_pool_size", 7),
        ("DB_MAX_OVERFLOW", "0", "db_max_overflow", 0),
        ("DB_CONNECT_TIMEOUT", "0", "db_connect_timeout", 0),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "1", "access_token_minutes", 1),
        ("REFRESH_TOKEN_EXPIRE_DAYS", "90", "refresh_token_days", 90),
        ("PASSWORD_MIN_LENGTH", "12", "password_min_length", 12),
        ("PASSWORD_CHECK_COMMON", "no", "password_check_common", False),
        ("REGISTRATION", "off", "registration", False),
        ("SECRET_KEY_FALLBACKS", "former, older", "secret_key_fallbacks", ("former", "older")),
        ("RATE_LIMIT_DEFAULT", "5/second", "rate_limit_default", Rate(5, 1)),
        ("RATE_LIMIT_AUTH", "OFF", "rate_limit_auth", None),
        ("RATE_LIMIT_ACCOUNT", "20/hour", "rate_limit_account", Rate(20, 3600)),
        ("CORS_ORIGINS", "https://App.example.org,*", "cors_origins", ("https://app.example.org", "*")),
        (
            "ALLOWED_HOSTS",
            "a.example.org, b.example.org",
            "allowed_hosts",
            ("a.example.org", "b.example.org"),
        ),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/8,::1",
            "trusted_proxies",
            (ip_network("10.0.0.0/8"), ip_network("::1")),
        ),
        ("WEBHOOK_ALLOW_PRIVATE", "10.1.0.0/16", "webhook_allow_private", (ip_network("10.1.0.0/16"),)),
        (
            "WEBHOOK_ALLOW_PRIVATE",
            "1",
            "webhook_allow_private",
            (ip_network("0.0.0.0/0"), ip_network("::/0")),
        ),
        ("WEBHOOK_ALLOW_PRIVATE", "false", "webhook_allow_private", ()),
        ("WEBHOOK_ALLOW_PRIVATE", "", "webhook_allow_private", ()),
        ("MAX_FILE_SIZE", "1", "max_file_size", 1),
        ("FILE_QUOTA", "0", "file_quota", 0),
        ("ALLOWED_FILE_TYPES", "image/PNG, .Md", "allowed_file_types", ("image/png", ".md")),
        ("ALLOWED_FILE_TYPES", " ", "allowed_file_types", DEFAULT_FILE_TYPES),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("TASKAPI_ENV", "production", "log_format", "json"),
        ("LOG_FILE", "/var/log/app.log", "log_file", Path("/var/log/app.log")),
        ("LOG_SQL", "1", "log_sql", True),
        ("HOST", "  ", "host", "127.0.0.1"),
    ],
)
def test_a_setting_is_read(load: Any, name: str, text: str, attribute: str, value: object) -> None:
    assert getattr(load(**{name: text}), attribute) == value


@pytest.mark.parametrize(
    ("values", "mail"),
    [
        ({}, MailSettings()),
        (
            {
                "MAIL_SERVER": "mx.example.org",
                "MAIL_PORT": "587",
                "MAIL_USERNAME": "u",
                "MAIL_PASSWORD": "p",
                "MAIL_USE_TLS": "yes",
                "MAIL_DEFAULT_SENDER": "a@example.org",
                "SENDGRID_API_KEY": "SG.x",
            },
            MailSettings(
                server="mx.example.org",
                port=587,
                username="u",
                password="p",
                use_tls=True,
                default_sender="a@example.org",
                sendgrid_api_key="SG.x",
            ),
        ),
        (
            {
                "SMTP_HOST": "mx.example.org",
                "SMTP_PORT": "26",
                "SMTP_USER": "u",
                "SMTP_PASSWORD": "p",
                "EMAIL_FROM": "b@example.org",
            },
            MailSettings(
                server="mx.example.org", port=26, username="u", password="p", default_sender="b@example.org"
            ),
        ),
    ],
)
def test_mail_settings_have_two_spellings(load: Any, values: dict[str, str], mail: MailSettings) -> None:
    assert load(**values).mail == mail


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TASKAPI_ENV", "staging"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("MAIL_PORT", "70000"),
        ("SMTP_PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
        ("WORKER_THREADS", "0"),
        ("WEB_CONCURRENCY", "2.5"),
        ("PASSWORD_MIN_LENGTH", "7"),
        ("REGISTRATION", "maybe"),
        ("RATE_LIMIT_DEFAULT", "100"),
        ("RATE_LIMIT_DEFAULT", "0/minute"),
        ("RATE_LIMIT_AUTH", "10/fortnight"),
        ("RATE_LIMIT_ACCOUNT", "-1/minute"),
        ("CORS_ORIGINS", "app.example.org"),
        ("CORS_ORIGINS", "https://app.example.org/path"),
        ("TRUSTED_PROXIES", "proxy.local"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("WEBHOOK_ALLOW_PRIVATE", "yes, please"),
        ("WEBHOOK_ALLOW_PRIVATE", "10.1.0.0/8"),
        ("MAX_FILE_SIZE", "0"),
        ("MAX_FILE_SIZE", "10MB"),
        ("FILE_QUOTA", "-1"),
        ("ALLOWED_FILE_TYPES", "png"),
        ("ALLOWED_FILE_TYPES", "image/*"),
        ("ALLOWED_FILE_TYPES", ".png .jpg"),
        ("STORAGE_URL", "/srv/files"),
        ("STORAGE_URL", "file:"),
        ("STORAGE_URL", "file://server/srv/files"),
        ("STORAGE_URL", "https://bucket.example.org"),
        ("STORAGE_URL", "s3://"),
        ("STORAGE_URL", "s3:///prefix"),
        ("STORAGE_URL", "s3://a bucket"),
        ("AWS_BUCKET", "../bucket"),
        ("S3_ENDPOINT_URL", "minio:9000"),
        ("CUSTOM_S3_ENDPOINT_URL", "ftp://minio"),
        ("S3_SIGNED_DOWNLOADS", "perhaps"),
        ("MAIL_USE_TLS", "2"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("PUBLIC_URL", "tasks.example.org"),
        ("PUBLIC_URL", "http://"),
        ("PUBLIC_URL", "ftp://tasks.example.org"),
        ("DATABASE_URL", "mysql://db/name"),
        ("DATABASE_URL", "postgresql://db:99999/name"),
        ("DATABASE_URL", "postgres:name"),
        ("DATABASE_URL", "sqlite:name.db"),
        ("REDIS_URL", "http://redis:6379"),
        ("REDIS_URL", "redis://[::1"),
        ("REDIS_URL", "redis://redis:0"),
        ("APP_NAME", "two\nlines"),
        ("MAIL_DEFAULT_SENDER", "a@example.org\r\nBcc: b@example.org"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_the_settings_name(
    load: Any, name: str, text: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} [^\n]*$"):
        load(**{name: text})


@pytest.mark.parametrize(("name", "value"), [("DB_PORT", "0"), ("REDIS_PORT", "65536"), ("REDIS_DB", "-1")])
def test_a_wrong_part_of_an_address_is_refused(load: Any, name: str, value: str) -> None:
    host = "DB_HOST" if name == "DB_PORT" else "REDIS_HOST"
    with pytest.raises(ConfigError, match=name):
        load(**{host: "server", name: value})


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("rediss://:pw@redis:6380", "rediss://:pw@redis:6380?ssl_cert_reqs=none"),
        ("rediss://redis:6380/0?db=1", "rediss://redis:6380/0?db=1&ssl_cert_reqs=none"),
        ("rediss://redis?ssl_cert_reqs=required", "rediss://redis?ssl_cert_reqs=required"),
        ("redis://redis:6379", "redis://redis:6379"),
    ],
)
def test_on_heroku_a_redis_that_signs_for_itself_is_taken(load: Any, url: str, read: str) -> None:
    assert load(REDIS_URL=url, DYNO="worker.1").redis_url == read
    assert load(REDIS_URL=url).redis_url == url


def test_a_refused_url_is_not_repeated_because_it_holds_a_password(load: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        load(DATABASE_URL="mysql://user:hunter2@db/name")
    assert "hunter2" not in str(refused.value)


SECRETS = {
    "SECRET_KEY": lambda s: s.secret_key,
    "SECRET_KEY_FALLBACKS": lambda s: s.secret_key_fallbacks[0],
    "METRICS_TOKEN": lambda s: s.metrics_token,
    "DATABASE_URL": lambda s: s.database_url,
    "REDIS_URL": lambda s: s.redis_url,
    "MAIL_PASSWORD": lambda s: s.mail.password,
    "SMTP_PASSWORD": lambda s: s.mail.password,
    "SENDGRID_API_KEY": lambda s: s.mail.sendgrid_api_key,
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_lie_in_a_file(tmp_path: Path, name: str) -> None:
    value = "redis://localhost:6379/0" if name == "REDIS_URL" else "sqlite:////x.db"
    (tmp_path / "secret").write_text(f"{value}\n")
    values = {"DATA_DIR": str(tmp_path), f"{name}_FILE": str(tmp_path / "secret")}
    assert SECRETS[name](load_settings(values)) == value


@pytest.mark.parametrize("name", [*SECRETS, "DB_PASSWORD", "REDIS_PASSWORD"])
def test_a_secret_given_twice_is_refused(load: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} and {name}_FILE are both set"):
        load(**{"DB_HOST": "db", "REDIS_HOST": "redis", name: "x", f"{name}_FILE": str(tmp_path / "secret")})


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^SECRET_KEY_FILE: cannot read .*nowhere"):
        load_settings({"SECRET_KEY_FILE": str(tmp_path / "nowhere")})


def test_the_environment_wins_over_the_dotenv_file(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_environment / ".env").write_text("PORT=1111\nAPP_NAME='From the file'\nLOG_SQL\n")
    monkeypatch.setenv("PORT", "2222")
    settings = load_settings()
    assert (settings.port, settings.app_name, settings.log_sql) == (2222, "From the file", False)


def test_a_dotenv_file_that_is_not_text_is_refused(empty_environment: Path) -> None:
    (empty_environment / ".env").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^\.env cannot be read"):
        load_settings()


@pytest.mark.parametrize("key", ["", "short", "a" * 64, "change-me", "abcabcabcabcabcabcabcabcabcabcabcabc"])
def test_production_refuses_a_missing_or_weak_secret(load: Any, key: str) -> None:
    with pytest.raises(ConfigError, match=r"^SECRET_KEY is (missing|too weak)"):
        load(TASKAPI_ENV="production", SECRET_KEY=key)


def test_a_weak_secret_will_do_in_development(load: Any) -> None:
    assert load(SECRET_KEY="dev").secret_key == "dev"


def test_a_development_secret_is_made_once_and_readable_by_its_owner_alone(load: Any, tmp_path: Path) -> None:
    first, second = load(SECRET_KEY=""), load(SECRET_KEY="")
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_the_directory_of_data_is_nobody_elses_to_read(load: Any, tmp_path: Path) -> None:
    load(SECRET_KEY="", DATA_DIR=str(tmp_path / "new"))
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_processes_that_start_at_once_share_one_development_secret(tmp_path: Path) -> None:
    program = (
        "import sys; from taskapi.config import load_settings; sys.stdin.readline();"
        f"print(load_settings({{'DATA_DIR': {str(tmp_path / 'var')!r}}}).secret_key)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    secrets = {process.communicate(timeout=30)[0].strip() for process in started}
    assert len(secrets) == 1
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^DATA_DIR .*/file/var cannot be written"):
        load_settings({"DATA_DIR": str(tmp_path / "file/var")})


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg"], ids=str
)
def test_every_spelling_of_postgresql_means_the_same_driver(load: Any, scheme: str) -> None:
    url = load(DATABASE_URL=f"{scheme}://u:p@db:5433/name?sslmode=require").database_url
    assert url == "postgresql+psycopg://u:p@db:5433/name?sslmode=require"


ODD_PASSWORDS = ["p@ss", "a:b/c", "50%", "100%25", "q?x=1&y#z", "sp ace", "ünï", "'\"\\", "[::1]", "+plus+"]


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_a_database_given_in_parts_keeps_an_odd_password(load: Any, password: str) -> None:
    settings = load(DB_HOST="db", DB_USER="me@home", DB_NAME="a/b", DB_PASSWORD=password)
    url = sa.make_url(settings.database_url)
    assert (url.host, url.port, url.username, url.password) == ("db", 5432, "me@home", password)
    assert (url.database, settings.uses_sqlite) == ("a/b", False)


def test_a_database_on_an_ipv6_address_needs_no_password(load: Any) -> None:
    url = sa.make_url(load(DB_HOST="::1", DB_PORT="5433").database_url)
    assert (url.host, url.port, url.username, url.password) == ("::1", 5433, "taskapi", None)


def test_the_url_of_the_database_wins_over_its_parts(load: Any) -> None:
    assert load(DATABASE_URL="sqlite:////x.db", DB_HOST="db").database_url == "sqlite:////x.db"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("sqlite:///foo.db", "sqlite:///{here}/foo.db"),
        ("sqlite:///./a%20b.db?timeout=3", "sqlite:///{here}/./a%20b.db?timeout=3"),
        ("sqlite:////tmp/foo.db", "sqlite:////tmp/foo.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
    ],
)
def test_a_relative_database_file_is_looked_for_in_the_working_directory(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, found: str
) -> None:
    here = tmp_path / "my place"
    here.mkdir()
    monkeypatch.chdir(here)
    assert load(DATABASE_URL=given).database_url == found.format(here=quote(str(here)))


def test_the_default_database_may_lie_in_a_directory_with_an_odd_name(tmp_path: Path) -> None:
    folder = tmp_path / "50%20off? #1"
    url = load_settings({"DATA_DIR": str(folder)}).database_url
    assert sa.make_url(url).database == f"{folder}/taskapi.db"


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_redis_given_in_parts_keeps_an_odd_password(load: Any, password: str) -> None:
    settings = load(
        REDIS_HOST="::1", REDIS_PORT="6380", REDIS_DB="3", REDIS_USER="me", REDIS_PASSWORD=password
    )
    expected = {"host": "::1", "port": 6380, "db": 3, "username": "me", "password": password}
    assert ConnectionPool.from_url(settings.redis_url).connection_kwargs.items() >= expected.items()
    assert not settings.redis_is_embedded


def test_redis_in_parts_needs_no_password(load: Any) -> None:
    assert load(REDIS_HOST="redis").redis_url == "redis://redis:6379/0"


def test_a_long_data_directory_gets_a_short_socket_path_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / ("x" * 100), tmp_path / ("y" * 100)]
    sockets = [unquote(urlsplit(config.embedded_redis_url(folder)).path) for folder in folders]
    assert len(set(sockets)) == 2
    assert all(len(path) <= 100 and not path.startswith(str(tmp_path)) for path in sockets)


def test_the_socket_of_a_data_directory_with_an_odd_name_is_found(tmp_path: Path) -> None:
    folder = Path("/tmp/a%20b ?#")
    pool = ConnectionPool.from_url(config.embedded_redis_url(folder))
    assert pool.connection_kwargs["path"] == str(folder / "redis/valkey.sock")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"TASKAPI_ENV": "production"}, "taskapi: SECRET_KEY is missing: production needs a random one of"),
        ({"PORT": "abc"}, "taskapi: PORT must be a whole number, not 'abc'"),
    ],
)
def test_a_wrong_setting_ends_the_web_process_with_one_line(
    tmp_path: Path, values: dict[str, str], line: str
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), **values},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith(line)
    assert process.stderr.count("\n") == 1


def test_the_example_file_names_every_setting_and_no_other() -> None:
    example = (REPOSITORY / ".env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", example, flags=re.MULTILINE))
    assert offered == _settings_read() - OF_THE_PLATFORM


def _settings_read() -> set[str]:
    """The names that are handed to the readers of the ``Environment``."""
    lists = {"words", "networks", "networks_or_all"}
    readers = lists | {"text", "first", "secret", "boolean", "integer", "choice", "url", "rate"}
    calls = [
        node
        for module in (config, config_files, config_operations, config_tasks)
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in readers
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
    ]
    taken = [(call.args if call.func.attr == "first" else call.args[:1]) for call in calls]  # type: ignore[attr-defined]
    return {str(name.value) for names in taken for name in names if isinstance(name, ast.Constant)}


def test_the_values_of_the_example_file_are_the_defaults(empty_environment: Path) -> None:
    defaults = load_settings()
    example = (REPOSITORY / ".env.example").read_text()
    (empty_environment / ".env").write_text(
        re.sub(r"^#([A-Z][A-Z0-9_]+=)", r"\1", example, flags=re.MULTILINE)
    )
    assert load_settings() == defaults
