"""The tree of domain errors: what went wrong, in words for people and a code for machines.

A class names one fact and carries the status that HTTP gives it; services raise them and
never see HTTP. The docstring of each class is what ``/problems/{code}`` tells a client.
"""

from collections.abc import Iterator, Mapping, Sequence


class DomainError(Exception):
    """The request cannot be carried out."""

    status = 400
    code = "bad_request"
    title = "Bad request"
    # Marks the few refusals whose bookkeeping must survive them (see ``transaction()``).
    keep_changes = False
    # Raised by commands alone, from modules that web processes do not load: no answer has its code.
    of_commands = False
    # RFC 9457, 3.2: more members of the problem, which its code explains.
    extensions: Mapping[str, str] = {}

    def __init__(self, detail: str | None = None, *, headers: Mapping[str, str] | None = None) -> None:
        self.detail = detail or self.title
        self.headers = dict(headers or {})
        super().__init__(self.detail)


class MalformedJson(DomainError):
    """The body is not JSON that this API reads: UTF-8, no duplicate keys, no NaN, at most 64 levels deep."""

    code = "malformed_json"
    title = "Malformed JSON"


class InvalidCursor(DomainError):
    """The cursor was altered, or belongs to another list, filter or sort order."""

    code = "invalid_cursor"
    title = "Invalid cursor"


class Unauthorized(DomainError):
    """A valid access token is needed: send it as ``Authorization: Bearer …``."""

    status = 401
    code = "unauthorized"
    title = "Authentication required"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class Forbidden(DomainError):
    """The caller is known but may not do this."""

    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFound(DomainError):
    """There is no such resource, or the caller may not see it."""

    status = 404
    code = "not_found"
    title = "Not found"


class MethodNotAllowed(DomainError):
    """The path exists but not for this method; ``Allow`` lists those it takes."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"


class Conflict(DomainError):
    """The state of the resource forbids this."""

    status = 409
    code = "conflict"
    title = "Conflict"


class PreconditionFailed(DomainError):
    """The resource was changed by somebody else since it was read."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"


class ContentTooLarge(DomainError):
    """The body is larger than this API takes."""

    status = 413
    code = "content_too_large"
    title = "Content too large"


class UriTooLong(DomainError):
    """The path and query are longer than this API reads."""

    status = 414
    code = "uri_too_long"
    title = "URI too long"


class UnsupportedMediaType(DomainError):
    """The body must be sent as the endpoint asks, mostly as JSON in UTF-8, without a content coding."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported media type"


class ValidationFailed(DomainError):
    """One or more values are wrong; ``errors`` names each field and says why."""

    status = 422
    code = "validation_error"
    title = "Validation failed"

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        self.errors = {field: list(messages) for field, messages in errors.items()}
        super().__init__("; ".join(f"{field}: {' '.join(texts)}" for field, texts in self.errors.items()))


class TooManyRequests(DomainError):
    """The rate limit is used up; try again after ``Retry-After`` seconds."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"


class HeaderFieldsTooLarge(DomainError):
    """The request has more header fields, or longer ones, than this API reads."""

    status = 431
    code = "header_fields_too_large"
    title = "Request header fields too large"


class InternalError(DomainError):
    """The server failed; the request id finds the details in its log."""

    status = 500
    code = "internal_error"
    title = "Internal server error"


class NotOffered(DomainError):
    """The request asks for a part of HTTP that this server does not have, such as another transfer coding."""

    status = 501
    code = "not_implemented"
    title = "Not implemented"


class Unavailable(DomainError):
    """Something this API needs is out of reach for the moment; try again soon."""

    status = 503
    code = "unavailable"
    title = "Service unavailable"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class DatabaseUnavailable(Unavailable):
    """The database is out of reach; nothing was changed."""

    code = "database_unavailable"
    title = "Database unavailable"


class OutcomeUnknown(Unavailable):
    """The connection to the database broke during the commit: read the resource before trying again."""

    code = "outcome_unknown"
    title = "Outcome unknown"


def all_errors(root: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """Every class of the tree, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from all_errors(child)
