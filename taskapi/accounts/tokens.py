"""Access tokens (JWT, minutes) and opaque tokens (random, stored as a hash)."""

import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token

from taskapi.accounts.errors import InvalidToken, TokenExpired
from taskapi.core.signing import all_keys

REFRESH_PREFIX = "tar_"
PERSONAL_PREFIX = "tap_"
# Who makes these tokens and for whom (RFC 7519, 4.1): another program's token is not ours,
# although an operator may have given both the same key.
PARTY = "taskapi"
ALGORITHM = "HS256"
# Verified tokens that a process remembers; each takes half a kilobyte.
REMEMBERED = 4096


def install_tokens(app: Flask) -> None:
    """Set up access tokens; each names its key, so that a former key still verifies its own."""
    app.config |= {
        "JWT_ALGORITHM": ALGORITHM,
        "JWT_SECRET_KEY": app.config["SECRET_KEY"],
        "JWT_ENCODE_ISSUER": PARTY,
        "JWT_ENCODE_AUDIENCE": PARTY,
    }
    JWTManager(app)


def _name_of(key: str) -> str:
    return hashlib.sha256(f"taskapi.kid:{key}".encode()).hexdigest()[:16]


def new_access_token(*, user_id: UUID, session_id: UUID, lifetime: timedelta) -> str:
    token: str = create_access_token(
        identity=str(user_id),
        additional_claims={"sid": str(session_id)},
        additional_headers={"kid": _name_of(all_keys()[0])},
        expires_delta=lifetime,
    )
    return token


def read_access_token(token: str) -> tuple[UUID, UUID, datetime]:
    """The user's and the session's id, and when the token ends.

    Raises:
        TokenExpired: its time is over.
        InvalidToken: anything else is wrong with it.
    """
    try:
        user_id, session_id, end = _verified(token, all_keys())
    # A token can be malformed at many levels: encoding, JSON, claims, types of claims.
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InvalidToken("The access token is not valid.") from error
    # By the clock of the library that made the token.
    if end.timestamp() <= time.time():
        raise TokenExpired("The access token has expired; exchange the refresh token for a new one.")
    return user_id, session_id, end


# What is wrong with a token is found out each time; what is right with it, once under these keys. Its
# end is not judged here: it comes while the token is remembered.
@lru_cache(maxsize=REMEMBERED)
def _verified(token: str, keys: tuple[str, ...]) -> tuple[UUID, UUID, datetime]:
    name = jwt.get_unverified_header(token).get("kid")
    claims: dict[str, Any] = jwt.decode(
        token,
        next((key for key in keys if _name_of(key) == name), keys[0]),
        algorithms=[ALGORITHM],
        issuer=PARTY,
        audience=PARTY,
        options={"require": ["exp", "sub", "iss", "aud"], "verify_exp": False},
    )
    if claims.get("type") != "access":
        raise InvalidToken("This is not an access token.")
    return UUID(claims["sub"]), UUID(claims["sid"]), datetime.fromtimestamp(claims["exp"], UTC)


def new_opaque_token(prefix: str) -> str:
    """256 random bits behind a prefix that secret scanners can recognise."""
    return prefix + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """SHA-256 is enough for random tokens: there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()
