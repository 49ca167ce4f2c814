"""What can go wrong with accounts and sign-in."""

from taskapi.core.errors import (
    Conflict,
    DomainError,
    Forbidden,
    NotFound,
    TooManyRequests,
    Unauthorized,
    ValidationFailed,
)


class EmailTaken(Conflict):
    """Another account already uses this e-mail address, whatever its case."""

    code = "email_taken"
    title = "E-mail already taken"


class UsernameTaken(Conflict):
    """Another account already uses this username, whatever its case."""

    code = "username_taken"
    title = "Username already taken"


class RegistrationClosed(Forbidden):
    """This installation does not let people register; an administrator makes accounts."""

    code = "registration_closed"
    title = "Registration is closed"


class InvalidCredentials(Unauthorized):
    """The account does not exist, is inactive, or the password is wrong; which, is not told."""

    code = "invalid_credentials"
    title = "Invalid credentials"


class InvalidToken(Unauthorized):
    """The token is malformed, forged, or of another kind than this call takes."""

    code = "invalid_token"
    title = "Invalid token"


class TokenExpired(Unauthorized):
    """The token was valid but its time is over; use the refresh token for a new one."""

    code = "token_expired"
    title = "Token expired"


class TokenRevoked(Unauthorized):
    """The session of this token was ended, or its account is inactive."""

    code = "token_revoked"
    title = "Token revoked"


class RefreshTokenReused(Unauthorized):
    """A refresh token that was already exchanged came back: the whole session was ended for safety."""

    code = "refresh_token_reused"
    title = "Refresh token used twice"
    # The end of the session must stay although the request is refused.
    keep_changes = True


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"
    title = "User not found"


class WrongPassword(Forbidden):
    """The password of one's own account is asked for again here, and this is not it."""

    code = "wrong_password"
    title = "Wrong password"


class TooManyFailures(TooManyRequests):
    """The password or code of this account was wrong too often; try again after ``Retry-After`` seconds.

    Sessions that exist go on, and the password can be reset meanwhile.
    """

    code = "too_many_failures"
    title = "Too many failed sign-ins"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Try again in {seconds} s.", headers={"Retry-After": str(seconds)})


class InvalidOneTimeToken(DomainError):
    """The token of a mailed link does not work, or no longer.

    It works once and for a limited time, and only the newest link does; a new password voids it,
    too. Ask for another link.
    """

    code = "invalid_one_time_token"
    title = "Invalid one-time token"

    def __init__(self) -> None:
        super().__init__("This link does not work, or no longer. Ask for another one.")


class SessionNotFound(NotFound):
    """One has no such session, or it has ended."""

    code = "session_not_found"
    title = "Session not found"


class TokenNotFound(NotFound):
    """One has no such personal access token."""

    code = "token_not_found"
    title = "Token not found"


class TooManyTokens(Conflict):
    """One has as many personal access tokens as are allowed: delete some that are no longer used."""

    code = "too_many_tokens"
    title = "Too many tokens"


class LastAdmin(Conflict):
    """An installation needs an active administrator, and this is the only one."""

    code = "last_admin"
    title = "Last administrator"


class OwnAccount(Conflict):
    """Administrators do not demote, switch off or delete themselves by a slip: another one does it.

    Who wants to leave closes their own account, which asks for their password.
    """

    code = "own_account"
    title = "Own account"


class SecondFactorRequired(Unauthorized):
    """The password is right, and this account asks for a second factor too.

    Sign in again with ``code``: the six digits of the authenticator app, or a recovery code.
    """

    code = "second_factor_required"
    title = "Second factor required"


class InvalidSecondFactor(Unauthorized):
    """The password is right but the code is wrong, too old, or was used before: each is taken once."""

    code = "invalid_second_factor"
    title = "Invalid second factor"


class SecondFactorEnabled(Conflict):
    """This account has a second factor in use; remove it to begin another."""

    code = "second_factor_enabled"
    title = "Second factor already enabled"


class SecondFactorNotEnabled(Conflict):
    """This needs a second factor: begin one, and confirm it with the first code of the app."""

    code = "second_factor_not_enabled"
    title = "Second factor not enabled"


class WrongCode(ValidationFailed):
    """The code that one's own account asks for here is wrong, too old, or was used before."""

    code = "wrong_code"
    title = "Wrong code"

    def __init__(self) -> None:
        super().__init__({"code": ["The code is wrong, too old, or was used before."]})
