"""Secrets: strong enough, and nobody else's to read."""

import stat
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from taskapi.config import MIN_SECRET_LENGTH, Settings
from taskapi.core.db import db
from taskapi.core.runtime import runtime_settings
from taskapi.ops.doctor.findings import Finding, fail, ok, warn

MAKE_ONE = "set SECRET_KEY to what 'openssl rand -base64 48' prints"
# Readable by the group or by all, in a folder that lets them pass.
OPEN_MODES = stat.S_IRGRP | stat.S_IROTH
PASSABLE = stat.S_IXGRP | stat.S_IXOTH
MIN_TOKEN_LENGTH = 16


def is_for_others(settings: Settings) -> bool:
    """Whether others than this machine's own users are meant to reach the service."""
    names = (settings.host, urlsplit(settings.public_url).hostname or "")
    return not all(_is_loopback(name) for name in names)


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def look_at_secret_key() -> Finding:
    """What signs tokens cannot be guessed."""
    settings = runtime_settings()
    made = settings.data_dir / "secret_key"
    if len(settings.secret_key) < MIN_SECRET_LENGTH or len(set(settings.secret_key)) < 8:
        found = fail if is_for_others(settings) else warn
        return found("SECRET_KEY can be guessed: who does is signed in as anybody", MAKE_ONE)
    if settings.environment == "production":
        return ok("strong; production")
    if is_for_others(settings):
        return warn("others reach this service, but TASKAPI_ENV is development", "set TASKAPI_ENV=production")
    if made.exists() and made.read_text(encoding="utf-8").strip() == settings.secret_key:
        return ok(f"made for development, kept in {made}")
    return ok("strong; development")


def look_at_private_files() -> Finding:
    """Files with secrets are readable by their owner alone."""
    settings = runtime_settings()
    # Mail that was written to files has links that set a password.
    found = [Path(".env").absolute(), settings.data_dir / "secret_key", settings.data_dir / "mail"]
    if settings.uses_sqlite:
        found.append(Path(db.engine.url.database or ""))
    readable = [str(path) for path in found if _is_readable_by_others(path)]
    if readable:
        return warn(f"others can read {', '.join(readable)}", f"run 'chmod go= {' '.join(readable)}'")
    return ok("files with secrets are readable by their owner alone")


def _is_readable_by_others(path: Path) -> bool:
    if not path.exists():
        return False
    return bool(path.stat().st_mode & OPEN_MODES and path.parent.stat().st_mode & PASSABLE)


def look_at_metrics() -> Finding:
    """Figures are shown to whom they are meant for."""
    settings = runtime_settings()
    token = settings.metrics_token
    if token is not None and len(token) < MIN_TOKEN_LENGTH:
        return warn("METRICS_TOKEN can be guessed", "set it to what 'openssl rand -hex 24' prints")
    if token is not None:
        return ok("/metrics asks for METRICS_TOKEN")
    if settings.environment == "production":
        return ok("/metrics is off; METRICS_TOKEN turns it on")
    if is_for_others(settings):
        return warn("/metrics is open to everybody", "set METRICS_TOKEN, or TASKAPI_ENV=production")
    return ok("/metrics is open on this machine")
