"""Endpoints that change a password or verify an address, and the pages that mailed links lead to."""

from urllib.parse import urlsplit

from flask import Response, render_template

from taskapi.accounts import recovery
from taskapi.accounts.errors import WrongPassword
from taskapi.accounts.recovery import Asked
from taskapi.accounts.schemas import (
    AskedSchema,
    OneTimeTokenSchema,
    PasswordChangeSchema,
    PasswordResetSchema,
    ResetRequestSchema,
)
from taskapi.accounts.views import current_device
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings

blp = Blueprint(
    "recovery",
    __name__,
    url_prefix="/api/auth",
    description="Changing and resetting a password, verifying an e-mail address",
    template_folder="templates",
    static_folder="static",
    static_url_path="/assets",
)
# The script and the style of the pages; Flask serves them, so they declare nothing.
blp.record_once(lambda state: state.app.extensions["taskapi_public_endpoints"].add("recovery.static"))

# The form is sent by the script alone, so that the token and the password are in no address.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'"
)


@blp.route("/me/password", methods=["POST"])
@blp.requires_session
@blp.arguments(PasswordChangeSchema)
@blp.problems(WrongPassword)
@blp.response(204)
def change_password(data: dict[str, str]) -> None:
    """Change one's password; other sessions end, personal access tokens go on"""
    actor = current_actor()
    password_hash = recovery.hash_changed_password(settings=runtime_settings(), actor=actor, **data)
    with transaction():
        recovery.change_password(actor=actor, password_hash=password_hash)


@blp.route("/password-reset", methods=["POST"])
@blp.public
@blp.limited_per_address
@blp.arguments(ResetRequestSchema)
@blp.response(202, AskedSchema)
def request_password_reset(data: dict[str, str]) -> Asked:
    """Ask for a link that sets a new password; the answer is the same for every address"""
    with transaction():
        return recovery.request_password_reset(**data)


@blp.route("/password-reset/confirm", methods=["POST"])
@blp.public
@blp.limited_per_address
@blp.arguments(PasswordResetSchema)
@blp.response(204)
def reset_password(data: dict[str, str]) -> None:
    """Set a new password with the token of the newest link, within an hour; all sessions end"""
    password_hash = recovery.hash_reset_password(settings=runtime_settings(), **data)
    with transaction():
        recovery.reset_password(token=data["token"], password_hash=password_hash, device=current_device())


@blp.route("/password-reset/confirm", methods=["GET"])
@blp.public
@blp.response(200, {"type": "string"}, content_type="text/html")
def show_reset_page() -> Response:
    """The page that the link in the mail leads to; opening it uses nothing up"""
    return _page("account_reset.html", minimum=runtime_settings().password_min_length)


@blp.route("/verify-email", methods=["POST"])
@blp.public
@blp.limited_per_address
@blp.arguments(OneTimeTokenSchema)
@blp.response(204)
def verify_email(data: dict[str, str]) -> None:
    """Verify one's e-mail address with the token of the newest link, within a day"""
    with transaction():
        recovery.verify_email(**data)


@blp.route("/verify-email", methods=["GET"])
@blp.public
@blp.response(200, {"type": "string"}, content_type="text/html")
def show_verification_page() -> Response:
    """The page that the link in the mail leads to; opening it uses nothing up"""
    return _page("account_verify.html")


@blp.route("/verify-email/resend", methods=["POST"])
@blp.requires_session
@blp.limited_per_address
@blp.response(202, AskedSchema)
def request_verification() -> Asked:
    """Ask for another link that verifies one's address; nothing is sent when it is verified"""
    with transaction():
        return recovery.request_verification(actor=current_actor())


def _page(template: str, **values: object) -> Response:
    settings = runtime_settings()
    # A proxy may serve the application below a path of its own.
    assets = f"{urlsplit(settings.public_url).path}/api/auth/assets"
    response = Response(
        render_template(template, app_name=settings.app_name, assets=assets, **values), mimetype="text/html"
    )
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
