"""``webhook``: calls a URL; 2xx is success, and what may pass by itself is tried again."""

import binascii
import re
from typing import Any

import marshmallow as ma
import orjson
from marshmallow import fields, validate
from urllib3 import HTTPHeaderDict

from taskapi.clients import http
from taskapi.clients.addresses import MAX_URL_LENGTH, TargetRefused
from taskapi.clients.standard_webhooks import ENCODED_SECRET, signature_headers, signing_key
from taskapi.core.json import storable_text
from taskapi.core.runtime import runtime_settings
from taskapi.core.schemas import Schema, Text
from taskapi.schedules.actions.base import Action, ActionFailed, RunContext

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TEMPORARY = frozenset({408, 425, 429})
MAX_BODY_BYTES = 65_536
MAX_HEADERS, MAX_NAME, MAX_VALUE = 50, 100, 4_000
KEPT_BYTES = 4_096
LOGGED_CHARACTERS = 500
# While a schedule is made a transaction is open; what counts is checked again when it is called.
LOOKUP_PATIENCE = 1.0
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
# They belong to the connection (RFC 9110, 7.6.1), or say what this action says itself.
RESERVED_HEADERS = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "expect"),
        *("keep-alive", "te", "trailer", "upgrade", "proxy-authorization", "proxy-connection"),
        "idempotency-key",
    }
)


class Method(fields.String):
    """An HTTP method in any case."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, attr, data, **kwargs)).strip().upper()


def _check_name(name: str) -> None:
    if not HEADER_NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ma.ValidationError("This is not the name of a header.")
    if name.lower() in RESERVED_HEADERS or name.lower().startswith("webhook-"):
        raise ma.ValidationError("This header is set by the service.")


def _check_value(value: str) -> None:
    if not HEADER_VALUE.fullmatch(value) or len(value) > MAX_VALUE:
        raise ma.ValidationError(f"Send up to {MAX_VALUE:,} printable ASCII characters in one line.")


def _check_headers(headers: dict[str, str]) -> None:
    if len(headers) > MAX_HEADERS:
        raise ma.ValidationError(f"Send {MAX_HEADERS} headers at most.")
    if len({name.lower() for name in headers}) < len(headers):
        raise ma.ValidationError("A header stands twice.")


def _check_body(body: Any) -> None:
    if len(_encoded(body)[0]) > MAX_BODY_BYTES:
        raise ma.ValidationError(f"The body is larger than {MAX_BODY_BYTES:,} bytes.")


def _check_secret(secret: str) -> None:
    try:
        signing_key(secret)
    except binascii.Error:
        raise ma.ValidationError(f"What follows {ENCODED_SECRET} must be base64.") from None


class WebhookParams(Schema):
    """What to call, and with what."""

    url = Text(minimum=1, maximum=MAX_URL_LENGTH, required=True, metadata={"format": "uri"})
    method = Method(validate=validate.OneOf(METHODS), load_default="POST")
    headers = fields.Dict(
        keys=fields.String(validate=_check_name),
        values=fields.String(validate=_check_value),
        validate=_check_headers,
        load_default=dict,
    )
    body = fields.Raw(
        allow_none=True,
        validate=_check_body,
        load_default=None,
        metadata={"description": "Text is sent as it is, anything else as JSON, null as no body"},
    )
    secret = fields.String(
        validate=[validate.Length(min=1, max=500), _check_secret],
        metadata={
            "description": "Signs each call as Standard Webhooks says; whsec_ and base64, or any text",
            "format": "password",
            "writeOnly": True,
        },
    )


def check(params: dict[str, Any]) -> None:
    """Refuse a target that would be refused when it is called."""
    allowed = runtime_settings().webhook_allow_private
    try:
        http.check_target(params["url"], allowed=allowed, patience=LOOKUP_PATIENCE)
    except TargetRefused as error:
        raise ma.ValidationError(str(error), "url") from error


def call(context: RunContext, params: dict[str, Any]) -> dict[str, Any]:
    """Call the URL once; the run's id tells the receiver which calls are one."""
    # Without the query, in which people put keys: processes log more than the run does.
    context.log(f"{params['method']} {params['url'].partition('?')[0]}")
    allowed = runtime_settings().webhook_allow_private
    try:
        answer = http.send(
            _request(context, params), allowed=allowed, timeout=context.timeout, check=context.check_cancelled
        )
    except http.CallFailed as error:
        raise ActionFailed(str(error), code=error.code, permanent=not error.temporary) from error
    text = storable_text(answer.body[:KEPT_BYTES].decode("utf-8", "replace"))
    context.log(f"Answered {answer.words} in {answer.duration_ms} ms.")
    if not 200 <= answer.status < 300:
        if text:
            context.log(text[:LOGGED_CHARACTERS], level="warning")
        raise _refusal(answer)
    return {"status": answer.status, "duration_ms": answer.duration_ms, "body": text}


def _request(context: RunContext, params: dict[str, Any]) -> http.Call:
    body, content_type = _encoded(params["body"])
    headers = HTTPHeaderDict({"Content-Type": content_type} if content_type else {})
    headers.update(params["headers"])
    headers["Idempotency-Key"] = str(context.run_id)
    if "secret" in params:
        headers.update(signature_headers([params["secret"]], str(context.run_id), body))
    return http.Call(method=params["method"], url=params["url"], headers=headers, body=body or None)


def _encoded(body: Any) -> tuple[bytes, str | None]:
    """The bytes to send, and their type."""
    if body is None:
        return b"", None
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return orjson.dumps(body), "application/json"


def _refusal(answer: http.Answer) -> ActionFailed:
    """Any answer but success, as a failure that may pass or will not."""
    status = answer.status
    message = f"The target answered {answer.words}."
    if 300 <= status < 400:
        location = storable_text(answer.headers.get("Location", ""))[:200]
        message += f" Redirects are not followed: put the final address into url, maybe {location!r}."
    temporary = status in TEMPORARY or status >= 500
    return ActionFailed(
        message, code=f"http_{status}", permanent=not temporary, retry_after=answer.retry_after
    )


WEBHOOK = Action(
    "webhook",
    "Calls a URL",
    WebhookParams,
    call,
    check=check,
    secrets=("secret",),
    private=("headers", "body"),
    threaded=True,
)
