"""Errors as RFC 9457 problem details: one shape for every error of every origin."""

from http import HTTPStatus
from typing import Any, cast

import marshmallow as ma
import structlog
from flask import Flask, Response, current_app, g, request
from marshmallow import fields
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from taskapi.core import errors
from taskapi.core.errors import DomainError, ValidationFailed

log = structlog.get_logger(__name__)

BY_STATUS: dict[int, type[DomainError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.ContentTooLarge,
    414: errors.UriTooLong,
    415: errors.UnsupportedMediaType,
    429: errors.TooManyRequests,
    431: errors.HeaderFieldsTooLarge,
    500: errors.InternalError,
    501: errors.NotOffered,
    503: errors.Unavailable,
}


class ProblemSchema(ma.Schema):
    """An error: ``code`` is stable and meant for programs, ``detail`` is meant for people."""

    type = fields.Url(required=True, metadata={"description": "A page that explains this kind of problem"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    request_id = fields.String(required=True)
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "Only for 422: field path → messages"},
    )
    next = fields.String(metadata={"description": "Only for `changes_expired`: go on from here"})


def problem_response(error: DomainError) -> Response:
    """The answer that tells a client about ``error``."""
    g.problem_code = error.code
    public_url, request_id = current_app.config["PUBLIC_URL"], g.get("request_id", "")
    body = problem_body(error, public_url=public_url, request_id=request_id)
    response = cast(Response, current_app.json.response(body))
    response.status_code = error.status
    response.mimetype = "application/problem+json"
    response.headers.update(error.headers)
    return response


def problem_body(error: DomainError, *, public_url: str, request_id: str) -> dict[str, Any]:
    """The members of the problem, as ``ProblemSchema`` describes them."""
    body: dict[str, Any] = {
        "type": f"{public_url}/problems/{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
        **error.extensions,
    }
    if isinstance(error, ValidationFailed):
        body["errors"] = error.errors
    return body


def problem_of_status(status: int) -> DomainError:
    """The problem that stands for a status of HTTP.

    A rare status keeps its number and name, under a code whose page exists.
    """
    problem = BY_STATUS.get(status, DomainError if status < 500 else errors.InternalError)()
    if problem.status != status:
        problem.status, problem.title = status, HTTPStatus(status).phrase
    return problem


def register_error_handlers(app: Flask) -> None:
    """Turn every exception that can leave a view into a problem."""
    app.register_error_handler(DomainError, _from_domain)
    app.register_error_handler(HTTPException, _from_werkzeug)
    app.register_error_handler(DBAPIError, _from_database)
    app.register_error_handler(PoolTimeout, _from_database)
    app.register_error_handler(StaleDataError, _from_lost_race)
    app.register_error_handler(Exception, _from_bug)


def _from_domain(error: DomainError) -> Response:
    return problem_response(error)


def _from_werkzeug(error: HTTPException) -> Response:
    if error.response is not None:
        return error.response  # type: ignore[return-value]  # a redirect carries its own answer
    status = error.code or 500
    problem = problem_of_status(status)
    problem.detail = _explain(error, status)
    problem.headers |= {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return problem_response(problem)


def _explain(error: HTTPException, status: int) -> str:
    # The path is not said again: some hold a token, and clients keep answers in their logs.
    if status == 404:
        return "There is nothing at this path."
    if status == 405:
        return f"{request.method} is not allowed at this path."
    return error.description or error.name


def _from_database(error: DBAPIError | PoolTimeout) -> Response:
    if isinstance(error, DBAPIError) and not _is_outage(error):
        return _from_bug(error)
    log.error("database.unavailable", error=str(error).splitlines()[0])
    return problem_response(errors.DatabaseUnavailable("The database does not answer; try again soon."))


def _is_outage(error: DBAPIError) -> bool:
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def _from_lost_race(_error: StaleDataError) -> Response:
    if "If-Match" in request.headers:
        return problem_response(errors.PreconditionFailed("It was changed by somebody else meanwhile."))
    return problem_response(errors.Conflict("It was changed by somebody else meanwhile; try again."))


def _from_bug(error: Exception) -> Response:
    log.error("request.failed", exc_info=error)
    return problem_response(errors.InternalError("Something went wrong on our side."))
