"""Who is calling and what an endpoint asks of them.

Every endpoint declares its access with ``public`` or ``requires``; one that declares nothing
is refused to everybody. The accounts room tells this module how a bearer token becomes an
``Actor``, and ``core/asking`` finds out before each request who calls; services take the actor as
an argument and never look here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from flask import current_app, g

from taskapi.core.errors import Forbidden, Unauthorized
from taskapi.core.runtime import current_request, request_state

Scope = Literal["read", "write", "admin"]
ALL_SCOPES: frozenset[Scope] = frozenset({"read", "write", "admin"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The authenticated caller, as far as rules need to know them.

    Attributes:
        session_id, token_id: what let them in: a session, or a personal access token.
        expires_at: when the token that they showed ends; None if it does not.
    """

    user_id: UUID
    role: str
    username: str
    timezone: str = "UTC"
    session_id: UUID | None = None
    token_id: UUID | None = None
    expires_at: datetime | None = None
    scopes: frozenset[Scope] = ALL_SCOPES

    @property
    def is_admin(self) -> bool:
        return self.role == "admin" and "admin" in self.scopes

    def as_anybody(self) -> "Actor":
        """Without what an administrator may do and see."""
        return replace(self, scopes=self.scopes - {"admin"})

    def check_scope(self, scope: Scope) -> None:
        """
        Raises:
            MissingScope
        """
        if scope not in self.scopes:
            raise MissingScope(f"This call needs the scope '{scope}'.")

    def check_reach(self, *, as_admin: bool) -> None:
        """Refuse whoever would get further by a thing than by themselves.

        Args:
            as_admin: whether the thing sees what administrators see.

        Raises:
            MissingScope
        """
        if as_admin and not self.is_admin:
            raise MissingScope("This sees what administrators see, so the call needs the scope 'admin'.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a token tells by itself. Whether it still lets somebody in, and whom, is asked elsewhere.

    Attributes:
        expires_at: when it ends, if it tells that.
    """

    user_id: UUID
    session_id: UUID | None = None
    token_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What an endpoint asks: an authenticated caller, and mostly a scope of their token.

    Attributes:
        also: another scope that the token needs.
        session: asks for somebody who signed in: no personal access token will do.
    """

    scope: Scope | None
    also: Scope | None = None
    public: bool = False
    session: bool = False

    @property
    def scopes(self) -> list[Scope]:
        """All scopes that the token needs."""
        return [scope for scope in (self.scope, self.also) if scope is not None]


PUBLIC = Access(None, public=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an endpoint's view says of itself (see ``Blueprint``), as far as each request asks for it."""

    access: Access | None = PUBLIC
    judges_caller: bool = False
    kept_for_a_while: bool = False
    for_probes: bool = False
    limited_per_address: bool = False


NOWHERE = Facts()


class AdminOnly(Forbidden):
    """Only an administrator may do this."""

    code = "admin_only"
    title = "Administrators only"


class MissingScope(Forbidden):
    """The token is valid but was not given the scope that this call needs."""

    code = "missing_scope"
    title = "Missing scope"


class SessionRequired(Forbidden):
    """A personal access token may not do this: sign in, and use the access token of the session."""

    code = "session_required"
    title = "Signing in is required"


Authenticator = Callable[[str], Actor]
Recogniser = Callable[[str], Shown | None]


def _recognise_none(_token: str) -> None:
    return None


def set_authenticator(authenticate: Authenticator, recognise: Recogniser = _recognise_none) -> None:
    """Say how a bearer token becomes an actor; it raises ``Unauthorized`` for any other token.

    Args:
        recognise: reads what a token tells by itself, asking nobody; None if the authenticator has
            to be asked. It may raise ``Unauthorized``, too.
    """
    current_app.extensions["taskapi_authenticator"] = authenticate
    current_app.extensions["taskapi_recogniser"] = recognise


def current_actor() -> Actor:
    """The caller of an endpoint that is not public."""
    actor: Actor = g.actor
    return actor


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Let somebody be the caller where there is none: what they once sent is read as theirs."""
    g.actor = actor
    try:
        yield
    finally:
        del g.actor


def bearer_token(kind: str = "an access token") -> str:
    """The token in ``Authorization``; the scheme is read in any case (RFC 9110, 11.1).

    Raises:
        Unauthorized: there is none.
    """
    shown: str = current_request().environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = shown.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized(f"Send {kind} as 'Authorization: Bearer …'.")
    return token.strip()


def authenticate(token: str) -> Actor:
    """Who shows this token, as the database says.

    Raises:
        Unauthorized: nobody, or not any more.
    """
    authenticator: Authenticator = current_app.extensions["taskapi_authenticator"]
    return authenticator(token)


def recognise(token: str) -> Shown | None:
    """What the token tells by itself, if it tells something.

    Raises:
        Unauthorized: it is no token of ours, or its time is over.
    """
    recogniser: Recogniser = current_app.extensions["taskapi_recogniser"]
    return recogniser(token)


def check_access() -> None:
    """Before each request: compare the caller with what the endpoint asks."""
    access = asked_access()
    if access is PUBLIC:
        return
    state = request_state()
    refusal: Unauthorized | None = state.pop("refusal", None)
    if refusal is not None:
        raise refusal
    actor: Actor = state.actor
    if access is None:
        raise Forbidden("This endpoint has no access rule.")
    if access.session and actor.session_id is None:
        raise SessionRequired
    if access.scope == "admin" and actor.role != "admin":
        raise AdminOnly
    for scope in access.scopes:
        actor.check_scope(scope)


def asked_access() -> Access | None:
    """What the requested endpoint asks; anybody may hear that there is none, or which methods it takes."""
    asked = current_request()
    if asked.method == "OPTIONS" or asked.routing_exception is not None:
        return PUBLIC
    facts: Facts = request_state().facts
    return facts.access


def access_of(endpoint: str) -> Access | None:
    """What the endpoint declares, or None when it forgot to."""
    if endpoint in current_app.extensions["taskapi_public_endpoints"]:
        return PUBLIC
    access: Access | None = fact_of(endpoint, "access")
    return access


def facts_of(endpoint: str | None) -> Facts:
    """The facts of a request's endpoint; of none where the path leads nowhere."""
    if endpoint is None:
        return NOWHERE
    known: dict[str, Facts] = current_app.extensions["taskapi_facts"]
    if endpoint not in known:
        names = ("judges_caller", "kept_for_a_while", "for_probes", "limited_per_address")
        said = {name: fact_of(endpoint, name) is True for name in names}
        access = access_of(endpoint)
        # The document's decorators copy what they find, and public is recognised by identity.
        known[endpoint] = Facts(access=PUBLIC if access == PUBLIC else access, **said)
    return known[endpoint]


def fact_of(endpoint: str, name: str) -> Any:
    """What the endpoint's view says of itself under this name (see ``Blueprint``), or None."""
    return getattr(current_app.view_functions[endpoint], "_apidoc", {}).get(name)
