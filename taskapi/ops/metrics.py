"""Who may see the figures for Prometheus, and all of them in its text format."""

import hmac

import structlog
from sqlalchemy.exc import SQLAlchemyError

from taskapi.core.db import session
from taskapi.core.errors import NotFound, Unauthorized
from taskapi.core.runtime import runtime_settings

log = structlog.get_logger(__name__)


def needs_token() -> bool:
    """Whether who asks must show the token; without one only a developer's installation answers.

    Raises:
        NotFound: in production nothing is shown until a token is set.
    """
    settings = runtime_settings()
    if settings.metrics_token is None and settings.environment == "production":
        raise NotFound("Figures are shown once METRICS_TOKEN is set.")
    return settings.metrics_token is not None


def check_token(token: str) -> None:
    """
    Raises:
        Unauthorized
    """
    expected = runtime_settings().metrics_token or ""
    if not hmac.compare_digest(token.encode(), expected.encode()):
        raise Unauthorized("Send METRICS_TOKEN as 'Authorization: Bearer …'.")


def exposition() -> bytes:
    """All figures in Prometheus' text format: of the installation, and what this machine has counted."""
    return _of_installation() + counted_here()


def _of_installation() -> bytes:
    """What the database tells, or that it is away: what was counted is told all the same."""
    # Here, and below, as only who is asked for figures needs the library.
    from prometheus_client import generate_latest

    from taskapi.ops.figures import DatabaseAway, Figures

    try:
        return generate_latest(Figures())
    except SQLAlchemyError as error:
        session().rollback()
        log.warning("metrics.database_away", error=str(error).splitlines()[0])
        return generate_latest(DatabaseAway())


def counted_here() -> bytes:
    """What the processes of this machine have counted, in Prometheus' text format."""
    from prometheus_client import generate_latest

    from taskapi.ops.counted import Counted

    return generate_latest(Counted(runtime_settings().data_dir))
