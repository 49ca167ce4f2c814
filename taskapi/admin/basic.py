"""HTTP Basic (RFC 7617) for pages that a person opens in a browser, which knows no bearer tokens.

The password is a token of an administrator, with the scope ``admin``; any user name will do. So a
password of an account is never typed here, and nobody can guess one.
"""

from flask import g, request

from taskapi.core.access import Actor, authenticate
from taskapi.core.errors import DomainError, Unauthorized
from taskapi.core.limits import limit_failures

CHALLENGE = 'Basic realm="taskapi", charset="UTF-8"'


class AdministratorRequired(Unauthorized):
    """Give a personal access token of an administrator, with the scope ``admin``, as the password."""

    code = "administrator_required"
    title = "Administrators only"

    def __init__(self) -> None:
        super().__init__("Give an administrator's token with the scope 'admin' as the password.")
        self.headers["WWW-Authenticate"] = CHALLENGE


def admit_administrator() -> Actor:
    """The administrator whose token came as the password.

    Raises:
        AdministratorRequired: none came, or a wrong one.
        TooManyRequests: too many wrong ones came from this address.
    """
    shown = request.authorization
    if shown is None or shown.type != "basic" or not shown.password:
        raise AdministratorRequired
    try:
        actor = authenticate(shown.password)
    except Unauthorized as error:
        raise _refusal() from error
    if not actor.is_admin:
        raise _refusal()
    g.actor = actor
    return actor


def _refusal() -> DomainError:
    limit_failures("administrator")
    return AdministratorRequired()
