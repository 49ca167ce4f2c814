"""The ``Blueprint`` that gives every endpoint the conventions, so that a view stays a few lines.

Strict parsing, access declarations, pages with ``Link``, ``Location``, ``ETag`` and 304.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import marshmallow as ma
from flask import Response, request
from flask_smorest import Blueprint as SmorestBlueprint

from taskapi.core.access import PUBLIC, Access, Scope
from taskapi.core.answering import answer, json_answer
from taskapi.core.answers import kept_for_a_while
from taskapi.core.errors import DomainError, ValidationFailed
from taskapi.core.idempotency import idempotent
from taskapi.core.openapi import describe_operation
from taskapi.core.parser import Parser, refuse_body
from taskapi.core.preconditions import requested_precondition
from taskapi.core.preparing import preparing
from taskapi.core.receiving import receiving
from taskapi.core.repeating import repeatable
from taskapi.core.schemas import unknown_field_message

__all__ = ("Blueprint", "json_answer")

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
            registered = receiving(preparing(repeatable(_without_undeclared_input(view))))
            if facts.get("kept_for_a_while"):
                registered = kept_for_a_while(registered, ages_by=facts.get("ages_by", ()))
            register(registered)
            return view

        return decorator

    def arguments(
        self, schema: type[ma.Schema], *, location: str = "json", **kwargs: Any
    ) -> Callable[[View], View]:
        """As in flask-smorest: the view gets what ``schema`` read from the body or the query."""
        document = super().arguments(schema, location=location, **kwargs)
        shape, parser = schema(), self.ARGUMENTS_PARSER

        def decorator(view: View) -> View:
            @wraps(view)
            def wrapper(*args: Any, **kw: Any) -> Any:
                by_query = location == "query"
                loaded = parser.query(shape) if by_query else parser.parse(shape, request, location=location)
                return view(*args, loaded, **kw)

            return _documented(cast(View, wrapper), document)

        return decorator

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

    def requires(self, scope: Scope | None, also: Scope | None = None) -> Callable[[View], View]:
        """An authenticated caller may call this; the token needs the scopes, any token will do for None."""
        return lambda view: _note(view, access=Access(scope, also=also))

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
        document = super().response(status_code, schema, **kwargs)
        shape = schema() if isinstance(schema, type) else schema

        def decorator(view: View) -> View:
            if location is not None:
                view = _note(view, place=location)

            @wraps(view)
            def wrapper(*args: Any, **kw: Any) -> Response:
                result = view(*args, **kw)
                if status_code == 204:
                    return Response(status=204)
                if isinstance(result, Response):
                    return result
                return answer(result, shape, status=status_code, location=location)

            return _documented(cast(View, wrapper), document)

        return decorator


def _note(view: View, **facts: Any) -> View:
    """Keep with the view what ``describe_operation`` and the access check read."""
    view._apidoc = {**getattr(view, "_apidoc", {}), **facts}  # type: ignore[attr-defined]
    return view


def _documented(view: View, document: Callable[[View], View]) -> View:
    """Take from flask-smorest's decorator what it tells the document, not what it does with requests."""
    return _note(view, **document(view)._apidoc)  # type: ignore[attr-defined]


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
