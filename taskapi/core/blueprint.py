"""The ``Blueprint`` that gives every endpoint the conventions, so that a view stays a few lines.

Strict parsing, access declarations, pages with ``Link``, ``Location``, ``ETag`` and 304.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlencode
from uuid import UUID

import marshmallow as ma
from flask import Response, current_app, request
from flask_smorest import Blueprint as SmorestBlueprint
from werkzeug.http import quote_etag

from taskapi.core.access import PUBLIC, Access, Scope
from taskapi.core.answers import kept_for_a_while
from taskapi.core.db import repeatable
from taskapi.core.errors import DomainError, ValidationFailed
from taskapi.core.idempotency import idempotent
from taskapi.core.openapi import describe_operation
from taskapi.core.paging import Page
from taskapi.core.parser import Parser, refuse_body
from taskapi.core.preconditions import requested_precondition
from taskapi.core.preparing import preparing
from taskapi.core.receiving import receiving
from taskapi.core.schemas import unknown_field_message

View = TypeVar("View", bound=Callable[..., Any])


class Blueprint(SmorestBlueprint):
    """A room's endpoints. Each declares its access and gets the conventions for free."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(describe_operation)

    def route(
        self, rule: str, *, parameters: Any = None, tags: Any = None, **options: Any
    ) -> Callable[[View], View]:
        """As in Flask; the view is repeated once when the database asks for it."""
        register = super().route(rule, parameters=parameters, tags=tags, **options)

        def decorator(view: View) -> View:
            view = _note(view, names_things="<" in f"{self.url_prefix}{rule}")
            creates = not {201, 202}.isdisjoint(getattr(view, "_apidoc", {}).get("success_status_codes", ()))
            # A credential that is shown once must not lie in a store of answers.
            if options.get("methods") == ["POST"] and creates and not self.url_prefix.startswith("/api/auth"):
                view = cast(View, idempotent(_note(view, idempotent=True)))
            facts = getattr(view, "_apidoc", {})
            if facts.get("kept_for_a_while"):
                view = cast(View, kept_for_a_while(view, ages_by=facts.get("ages_by", ())))
            register(receiving(preparing(repeatable(_without_undeclared_input(view)))))
            return view

        return decorator

    def arguments(self, schema: type[ma.Schema], **kwargs: Any) -> Callable[[View], View]:
        """As in flask-smorest: the view gets what ``schema`` read from the body or the query."""
        return cast("Callable[[View], View]", super().arguments(schema, **kwargs))

    @staticmethod
    def doc(**kwargs: Any) -> Callable[[View], View]:
        """As in flask-smorest: words for the OpenAPI document."""
        return cast("Callable[[View], View]", SmorestBlueprint.doc(**kwargs))

    def alt_response(self, status_code: int, **kwargs: Any) -> Callable[[View], View]:
        """As in flask-smorest: another answer that the view itself may give."""
        return cast("Callable[[View], View]", super().alt_response(status_code, **kwargs))

    def public(self, view: View) -> View:
        """Anyone may call this endpoint."""
        return _note(view, access=PUBLIC)

    def requires(self, scope: Scope | None) -> Callable[[View], View]:
        """An authenticated caller may call this; the token needs ``scope``, any token will do for None."""
        return lambda view: _note(view, access=Access(scope))

    def requires_session(self, view: View) -> View:
        """Only somebody who signed in may call this, not a program with a personal access token."""
        return _note(view, access=Access(None, session=True))

    def judges_caller(self, view: View) -> View:
        """Anyone may call this endpoint, but it wants to know who does: ``g.actor``, or ``g.refusal``."""
        return _note(view, access=PUBLIC, judges_caller=True)

    def limited_per_address(self, view: View) -> View:
        """Each address may call this as often as ``RATE_LIMIT_AUTH`` says, whoever is signed in."""
        return _note(view, limited_per_address=True)

    def takes_form(self, view: View) -> View:
        """A form may come that means nothing, as mail programs send it (RFC 8058)."""
        return _note(view, takes_form=True)

    def takes_anything(self, view: View) -> View:
        """Any body and any query may come: the caller is a program that nobody wrote for this API."""
        return _note(view, takes_anything=True)

    def problems(self, *kinds: type[DomainError]) -> Callable[[View], View]:
        """Name in the OpenAPI document the problems that are this endpoint's own."""
        return lambda view: _note(view, problems=kinds)

    def kept_for_a_while(self, view: View) -> View:
        """Its answer may be given again until something changes that the caller sees, with ``X-Cache``."""
        return _note(view, kept_for_a_while=True)

    def ages_by(self, *parameters: str) -> Callable[[View], View]:
        """With one of these parameters the answer depends on the clock, and is not kept."""
        return lambda view: _note(view, ages_by=parameters)

    def for_probes(self, view: View) -> View:
        """Load balancers ask this often, by any name of the machine: no rate limit, no ``ALLOWED_HOSTS``."""
        return _note(view, for_probes=True)

    def conditional(self, view: View) -> View:
        """Give the view ``condition``, what ``If-Match`` asks of the version that is changed."""

        @wraps(view)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return view(*args, condition=requested_precondition(), **kwargs)

        return _note(cast(View, wrapper), conditional=True)

    def response(
        self, status_code: int, schema: Any = None, *, location: str | None = None, **kwargs: Any
    ) -> Callable[[View], View]:
        """As in flask-smorest, with ``Location`` for 201, ``Link`` for pages, ``ETag`` and 304.

        Args:
            location: the path of what was created, when it is not the collection's path and the id;
                ``{0.id}`` in it stands for that attribute of the result.
        """
        decorate = super().response(status_code, schema, **kwargs)

        def decorator(view: View) -> View:
            if location is not None:
                view = _note(view, has_location=True)

            @wraps(view)
            def wrapper(*args: Any, **kw: Any) -> Any:
                result = view(*args, **kw)
                if status_code == 204:
                    return Response(status=204)
                if isinstance(result, Response):
                    return result
                headers = _headers_for(result, status_code, location)
                if getattr(schema, "confidential", False):
                    # RFC 6749, 5.1: what lets somebody in is kept by no cache, not even for a moment.
                    headers["Cache-Control"] = "no-store"
                if request.method in ("GET", "HEAD") and _is_unchanged(headers.get("ETag")):
                    return Response(status=304, headers=headers)
                return result, headers

            return cast(View, decorate(wrapper))

        return decorator


def json_answer(schema: type[ma.Schema], result: Any, *, status: int = 200) -> Response:
    """An answer of another shape or status than the one that a view has declared first."""
    response = cast(Response, current_app.json.response(schema().dump(result)))
    response.status_code = status
    if (tag := _entity_tag(result)) is not None:
        response.headers["ETag"] = quote_etag(tag)
    return response


def _note(view: View, **facts: Any) -> View:
    """Keep with the view what ``describe_operation`` and the access check read."""
    view._apidoc = {**getattr(view, "_apidoc", {}), **facts}  # type: ignore[attr-defined]
    return view


def _without_undeclared_input(view: View) -> View:
    """Refuse query parameters and bodies where the endpoint declares none; others check their own."""
    facts = getattr(view, "_apidoc", {})
    if facts.get("takes_anything") or facts.get("receives"):
        return view
    places = {parameter["in"] for parameter in facts.get("arguments", {}).get("parameters", [])}
    takes_body = facts.get("takes_form") or not places.isdisjoint({"json", "form", "files"})

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if "query" not in places and request.args:
            raise ValidationFailed({name: [unknown_field_message(name, [])] for name in request.args})
        if not takes_body and request.method in ("POST", "PUT", "PATCH", "DELETE"):
            refuse_body(request)
        return view(*args, **kwargs)

    return cast(View, wrapper)


def _headers_for(result: Any, status_code: int, location: str | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(result, Page):
        links = _links(result)
        if links:
            headers["Link"] = links
    elif (tag := _entity_tag(result)) is not None:
        headers["ETag"] = quote_etag(tag)
    if location is not None:
        headers["Location"] = location.format(result)
    elif status_code == 201:
        identifier: UUID | None = getattr(result, "id", None)
        headers["Location"] = f"{request.path.rstrip('/')}/{identifier}"
    return headers


def _entity_tag(result: Any) -> str | None:
    """A resource may say its tag itself; else it is made of its version."""
    version: int | None = getattr(result, "version", None)
    own: str | None = getattr(result, "entity_tag", None)
    return own or (f"v{version}" if version is not None else None)


def _links(page: Page[Any]) -> str:
    links = []
    if page.page is not None:
        # From beyond the end, the page before is the last one, where that is known.
        before = page.page - 1
        if page.total is not None:
            before = min(before, max(1, math.ceil(page.total / page.per_page)))
        wanted = {"next": page.page + 1 if page.next_cursor else None, "prev": before}
        links = [_link(rel, {"page": str(number)}) for rel, number in wanted.items() if number]
    elif page.next_cursor:
        links = [_link("next", {"cursor": page.next_cursor})]
    return ", ".join(links)


def _link(rel: str, changes: dict[str, str]) -> str:
    query = urlencode({**dict(request.args.lists()), **changes}, doseq=True)
    return f'<{request.path}?{query}>; rel="{rel}"'


def _is_unchanged(etag: str | None) -> bool:
    return etag is not None and request.if_none_match.contains_weak(etag.strip('"'))
