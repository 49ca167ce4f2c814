"""What can go wrong with accounts and sign-in."""

from taskapi.core.errors import Conflict, Forbidden, NotFound, Unauthorized


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
