"""Typed settings: the only module that reads the environment.

A setting comes from the environment, else from ``NAME_FILE`` (secrets), else from
``.env`` in the working directory, else from its default. Anything that cannot be
understood stops the start with one clear line (``ConfigError``).
"""

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from taskapi.config_files import DEFAULT_FILE_TYPES, StorageSettings, read_file_types, read_storage
from taskapi.config_operations import read_limits, read_operations
from taskapi.config_tasks import read_retention, read_tasks
from taskapi.environment import (
    HTTP,
    PORT_RANGE,
    ConfigError,
    Environment,
    Network,
    Rate,
    read_values,
    single_line,
)

POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg")
MIN_SECRET_LENGTH = 32
TERABYTE = 2**40
ORIGIN = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^/\s*@?#]+")
# A Unix socket's path must fit into sockaddr_un (104 bytes on macOS, 108 on Linux).
MAX_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """How e-mail leaves: SMTP when ``server`` is set, SendGrid's relay first when a key is set."""

    server: str | None = None
    port: int = 25
    username: str | None = None
    password: str | None = None
    use_tls: bool = False
    default_sender: str = "taskapi@localhost"
    sendgrid_api_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; see ``.env.example`` for each name."""

    environment: str
    secret_key: str
    secret_key_fallbacks: tuple[str, ...] = ()
    data_dir: Path
    database_url: str
    redis_url: str
    redis_is_embedded: bool
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = "http://127.0.0.1:8000"
    app_name: str = "taskapi"
    web_concurrency: int = 2
    live_connections: int = 4096
    db_pool_size: int = 15
    db_max_overflow: int = 5
    db_connect_timeout: int = 30
    access_token_minutes: int = 15
    refresh_token_days: int = 30
    password_min_length: int = 10
    password_check_common: bool = True
    registration: bool = True
    rate_limit_default: Rate | None = Rate(100, 60)
    rate_limit_auth: Rate | None = Rate(10, 60)
    rate_limit_account: Rate | None = Rate(10, 60)
    user_schedules: int = 100_000
    user_runs_at_once: int = 200
    user_runs_per_minute: int = 0
    # To others; 0: no limit.
    user_mails_per_hour: int = 1000
    run_retention_days: int = 90
    run_retention_count: int = 10_000
    event_retention_days: int = 90
    notification_retention_days: int = 365
    metrics_token: str | None = None
    # 0: workers and schedulers show their figures through the web alone.
    metrics_port: int = 0
    # Mails and webhooks that each worker sends at a time.
    worker_threads: int = 1
    legacy_paths: bool = False
    cache_ttl: int = 300
    team_sees_tasks: bool = False
    # 0: deleted tasks are kept.
    task_purge_days: int = 0
    weather: bool = True
    openweather_api_key: str | None = None
    weather_base_url: str | None = None
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    max_content_length: int = 1_048_576
    webhook_allow_private: tuple[Network, ...] = ()
    max_file_size: int = 10_485_760
    max_import_size: int = 104_857_600
    # Bytes of each user; 0: no limit.
    file_quota: int = 1_073_741_824
    allowed_file_types: tuple[str, ...] = DEFAULT_FILE_TYPES
    storage: StorageSettings
    mail: MailSettings = MailSettings()
    log_level: str = "INFO"
    log_format: str = "console"
    log_file: Path | None = None
    log_sql: bool = False

    @property
    def uses_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def load_settings(values: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from ``values``, else from the process environment and ``.env``.

    Raises:
        ConfigError: a setting is missing, malformed or too weak for production.
    """
    env = Environment(read_values() if values is None else values)
    environment = env.choice("TASKAPI_ENV", "development", ("development", "production"))
    production = environment == "production"
    data_dir = Path(env.text("DATA_DIR") or "var").absolute()
    host = env.text("HOST") or ("0.0.0.0" if env.text("DYNO") else "127.0.0.1")  # noqa: S104 - Heroku routes to it
    port = env.integer("PORT", 8000, **PORT_RANGE)
    redis_url = _redis_url(env)
    return Settings(
        environment=environment,
        secret_key=_secret_key(env, data_dir, production=production),
        secret_key_fallbacks=_fallback_keys(env, production=production),
        data_dir=data_dir,
        database_url=_database_url(env, data_dir),
        redis_url=redis_url or embedded_redis_url(data_dir),
        redis_is_embedded=redis_url is None,
        host=host,
        port=port,
        public_url=(env.url("PUBLIC_URL", HTTP) or f"http://127.0.0.1:{port}").rstrip("/"),
        app_name=single_line("APP_NAME", env.text("APP_NAME") or "taskapi"),
        web_concurrency=env.integer("WEB_CONCURRENCY", 2, minimum=1, maximum=256),
        live_connections=env.integer("LIVE_CONNECTIONS", 4096, minimum=1, maximum=1_000_000),
        db_pool_size=env.integer("DB_POOL_SIZE", 15, minimum=1, maximum=1000),
        db_max_overflow=env.integer("DB_MAX_OVERFLOW", 5, maximum=1000),
        db_connect_timeout=env.integer("DB_CONNECT_TIMEOUT", 30, maximum=3600),
        access_token_minutes=env.integer("ACCESS_TOKEN_EXPIRE_MINUTES", 15, minimum=1, maximum=1440),
        refresh_token_days=env.integer("REFRESH_TOKEN_EXPIRE_DAYS", 30, minimum=1, maximum=3650),
        password_min_length=env.integer("PASSWORD_MIN_LENGTH", 10, minimum=8, maximum=128),
        password_check_common=env.boolean("PASSWORD_CHECK_COMMON", True),
        registration=env.boolean("REGISTRATION", True),
        rate_limit_default=env.rate("RATE_LIMIT_DEFAULT", "100/minute"),
        rate_limit_auth=env.rate("RATE_LIMIT_AUTH", "10/minute"),
        rate_limit_account=env.rate("RATE_LIMIT_ACCOUNT", "10/minute"),
        **read_limits(env),
        **read_operations(env),
        **read_retention(env),
        **read_tasks(env),
        cors_origins=_origins(env),
        allowed_hosts=env.words("ALLOWED_HOSTS"),
        trusted_proxies=env.networks("TRUSTED_PROXIES"),
        webhook_allow_private=env.networks_or_all("WEBHOOK_ALLOW_PRIVATE"),
        max_file_size=env.integer("MAX_FILE_SIZE", 10_485_760, minimum=1, maximum=TERABYTE),
        file_quota=env.integer("FILE_QUOTA", 1_073_741_824, maximum=1024 * TERABYTE),
        allowed_file_types=read_file_types(env),
        storage=read_storage(env, data_dir),
        mail=_mail(env),
        log_level=env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        log_format=env.choice("LOG_FORMAT", "json" if production else "console", ("json", "console")),
        log_file=Path(log_file).absolute() if (log_file := env.text("LOG_FILE")) else None,
        log_sql=env.boolean("LOG_SQL", False),
    )


def embedded_redis_url(data_dir: Path) -> str:
    """The address of the embedded server that belongs to this data directory."""
    socket = data_dir / "redis" / "valkey.sock"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        socket = Path(tempfile.gettempdir()) / f"taskapi-{os.getuid()}-{digest}" / "valkey.sock"
    return f"unix://{quote(str(socket))}"


def _secret_key(env: Environment, data_dir: Path, *, production: bool) -> str:
    key = env.secret("SECRET_KEY")
    if key is None:
        if production:
            raise ConfigError("SECRET_KEY is missing: production needs a random one of 32 characters or more")
        return _development_secret(data_dir)
    if production:
        _refuse_weak("SECRET_KEY", key)
    return key


def _refuse_weak(name: str, key: str) -> None:
    if len(key) < MIN_SECRET_LENGTH or len(set(key)) < 8:
        raise ConfigError(f"{name} is too weak: production needs a random one of 32 characters or more")


def _fallback_keys(env: Environment, *, production: bool) -> tuple[str, ...]:
    """Former keys, newest first, separated by commas: what they signed is still accepted."""
    keys = tuple(key.strip() for key in (env.secret("SECRET_KEY_FALLBACKS") or "").split(",") if key.strip())
    for key in keys if production else ():
        _refuse_weak("SECRET_KEY_FALLBACKS", key)
    return keys


def _origins(env: Environment) -> tuple[str, ...]:
    """The sites whose pages may call this API from a browser, such as https://app.example.org."""
    origins = env.words("CORS_ORIGINS")
    for origin in origins:
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ConfigError(f"CORS_ORIGINS must be like https://app.example.org, or *, not {origin!r}")
    return tuple(origin.lower() for origin in origins)


def _development_secret(data_dir: Path) -> str:
    """Make a secret once and keep it, so that sign-ins survive a restart."""
    path = data_dir / "secret_key"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Several processes start at once: link() lets exactly one of them set the secret,
        # and no reader ever sees a half-written file.
        draft = data_dir / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
        if not path.exists():
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"DATA_DIR {data_dir} cannot be written: {error.strerror}") from error


def _database_url(env: Environment, data_dir: Path) -> str:
    url = env.url("DATABASE_URL", (*POSTGRES_SCHEMES, "sqlite"))
    if url is None:
        return _database_url_from_parts(env) or f"sqlite:///{quote(str(data_dir / 'taskapi.db'))}"
    scheme, _, address = url.partition("://")
    if scheme != "sqlite":
        return f"postgresql+psycopg://{address}"
    if address in ("", "/") or address.startswith(("//", "/:memory:", "/file:", "/?")):
        return url
    # Once and for all: those who read it would each begin at another directory.
    return f"sqlite:///{quote(os.getcwd())}{address}"


def _database_url_from_parts(env: Environment) -> str | None:
    host = env.text("DB_HOST")
    if host is None:
        return None
    port = env.integer("DB_PORT", 5432, **PORT_RANGE)
    user = quote(env.text("DB_USER") or "taskapi", safe="")
    password = env.secret("DB_PASSWORD")
    login = f"{user}:{quote(password, safe='')}" if password else user
    name = quote(env.text("DB_NAME") or "taskapi", safe="")
    return f"postgresql+psycopg://{login}@{_in_url(host)}:{port}/{name}"


def _redis_url(env: Environment) -> str | None:
    url = env.url("REDIS_URL", ("redis", "rediss", "unix"))
    host = env.text("REDIS_HOST")
    if url and url.startswith("rediss:") and env.text("DYNO") and "ssl_cert_reqs" not in url:
        # Heroku's servers sign for themselves, and the URL is written by Heroku.
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=none"
    if url or host is None:
        return url
    port = env.integer("REDIS_PORT", 6379, **PORT_RANGE)
    password = env.secret("REDIS_PASSWORD")
    user = quote(env.text("REDIS_USER") or "", safe="")
    login = f"{user}:{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{_in_url(host)}:{port}/{env.integer('REDIS_DB', 0, maximum=1_000_000)}"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _mail(env: Environment) -> MailSettings:
    return MailSettings(
        server=env.first("MAIL_SERVER", "SMTP_HOST"),
        port=env.integer("MAIL_PORT", env.integer("SMTP_PORT", 25, **PORT_RANGE), **PORT_RANGE),
        username=env.first("MAIL_USERNAME", "SMTP_USER"),
        password=env.secret("MAIL_PASSWORD") or env.secret("SMTP_PASSWORD"),
        use_tls=env.boolean("MAIL_USE_TLS", False),
        default_sender=single_line(
            "MAIL_DEFAULT_SENDER", env.first("MAIL_DEFAULT_SENDER", "EMAIL_FROM") or "taskapi@localhost"
        ),
        sendgrid_api_key=env.secret("SENDGRID_API_KEY"),
    )
