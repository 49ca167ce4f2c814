"""Endpoints under /api/auth/me/second-factor."""

from taskapi.accounts import second_factor
from taskapi.accounts.errors import SecondFactorEnabled, SecondFactorNotEnabled, WrongCode, WrongPassword
from taskapi.accounts.schemas import (
    CodeSchema,
    EnrolmentSchema,
    PasswordAndCodeSchema,
    PasswordSchema,
    RecoveryCodesSchema,
    SecondFactorStateSchema,
)
from taskapi.accounts.second_factor import Enrolment, RecoveryCodes, SecondFactorState
from taskapi.accounts.throttle import require_password
from taskapi.core.access import current_actor
from taskapi.core.blueprint import Blueprint
from taskapi.core.db import transaction
from taskapi.core.runtime import runtime_settings

blp = Blueprint(
    "second-factor", __name__, url_prefix="/api/auth", description="Codes of an authenticator app at sign-in"
)


@blp.route("/me/second-factor", methods=["GET"])
@blp.requires_session
@blp.response(200, SecondFactorStateSchema)
def show_state() -> SecondFactorState:
    """Whether a second factor is asked for at sign-in"""
    return second_factor.state_of(user_id=current_actor().user_id)


@blp.route("/me/second-factor", methods=["POST"])
@blp.requires_session
@blp.arguments(PasswordSchema)
@blp.problems(WrongPassword, SecondFactorEnabled)
@blp.response(201, EnrolmentSchema, location="/api/auth/me/second-factor")
def begin(data: dict[str, str]) -> Enrolment:
    """Begin a second factor; the first code of the app, sent to /confirm, enables it"""
    settings, actor = runtime_settings(), current_actor()
    require_password(settings=settings, actor=actor, **data)
    with transaction():
        return second_factor.begin(settings=settings, actor=actor)


@blp.route("/me/second-factor/confirm", methods=["POST"])
@blp.requires_session
@blp.arguments(CodeSchema)
@blp.problems(WrongCode, SecondFactorNotEnabled, SecondFactorEnabled)
@blp.response(200, RecoveryCodesSchema)
def confirm(data: dict[str, str]) -> RecoveryCodes:
    """Enable the second factor; the recovery codes are shown this once"""
    actor = current_actor()
    with second_factor.counted_codes(settings=runtime_settings(), actor=actor), transaction():
        return second_factor.confirm(actor=actor, **data)


@blp.route("/me/second-factor/recovery-codes", methods=["POST"])
@blp.requires_session
@blp.arguments(PasswordSchema)
@blp.problems(WrongPassword, SecondFactorNotEnabled)
@blp.response(200, RecoveryCodesSchema)
def renew_recovery_codes(data: dict[str, str]) -> RecoveryCodes:
    """Ten new recovery codes; those before stop working"""
    require_password(settings=runtime_settings(), actor=current_actor(), **data)
    with transaction():
        return second_factor.renew_recovery_codes(actor=current_actor())


@blp.route("/me/second-factor", methods=["DELETE"])
@blp.requires_session
@blp.arguments(PasswordAndCodeSchema)
@blp.problems(WrongPassword, WrongCode, SecondFactorNotEnabled)
@blp.response(204)
def remove(data: dict[str, str]) -> None:
    """Switch the second factor off"""
    settings, actor = runtime_settings(), current_actor()
    require_password(settings=settings, actor=actor, password=data["password"])
    with second_factor.counted_codes(settings=settings, actor=actor), transaction():
        second_factor.remove(actor=actor, code=data["code"])
