"""Rules of names: e-mail addresses, usernames and full names, and the keys by which they are unique."""

import re
import secrets

from taskapi.accounts import queries
from taskapi.accounts.models import User
from taskapi.clients.mail import check_recipient
from taskapi.clients.smtp import MailError
from taskapi.core.errors import ValidationFailed
from taskapi.core.schemas import has_control_characters

EMAIL = re.compile(r"[^@\s,;<>()\"\\:]{1,64}@[^@\s,;<>()\"\\:]{1,190}")
USERNAME = re.compile(r"\w(?:[\w.-]{0,48}\w)?")
USERNAME_RULE = "Use 1 to 50 letters, digits, dots, dashes and underscores."
NO_EMAIL = "Not a valid e-mail address."
MAX_FULL_NAME = 200
# So many of one name are numbered in their order.
COUNTED = 20
MAX_EMAIL = 254
MAX_EMAIL_KEY: int = User.__table__.c.email_key.type.length  # type: ignore[attr-defined]
MAX_USERNAME_KEY: int = User.__table__.c.username_key.type.length  # type: ignore[attr-defined]


def checked_email(email: str) -> tuple[str, str]:
    """The address in its normal form, and its key.

    Refused is what cannot be an address, could smuggle a header or a second recipient, or can never
    be mailed.

    Raises:
        ValidationFailed
    """
    email = queries.normal_form(email)
    domain, key = email.rpartition("@")[2], queries.fold(email)
    if len(email) > MAX_EMAIL or not EMAIL.fullmatch(email) or ".." in email or not email.isprintable():
        raise ValidationFailed({"email": [NO_EMAIL]})
    if domain.startswith((".", "-")) or domain.endswith((".", "-")) or len(key) > MAX_EMAIL_KEY:
        raise ValidationFailed({"email": [NO_EMAIL]})
    try:
        check_recipient(email)
    except MailError as error:
        raise ValidationFailed({"email": ["No mail can be sent to this address."]}) from error
    return email, key


def checked_username(username: str) -> tuple[str, str]:
    """The username in its normal form, and its key.

    Raises:
        ValidationFailed
    """
    username = queries.normal_form(username)
    key = queries.fold(username)
    if not USERNAME.fullmatch(username) or len(key) > MAX_USERNAME_KEY:
        raise ValidationFailed({"username": [USERNAME_RULE]})
    return username, key


def free_username(email: str) -> tuple[str, str]:
    """A username made from an address that nobody has yet, and its key."""
    stem = re.sub(r"[^\w.-]+", "", email.partition("@")[0]).strip(".-")[:40] or "user"
    candidate, number = stem, 1
    while queries.username_exists(queries.fold(candidate)):
        # Of very many who are called so, each would look for longer than the one before.
        number += 1 if number < COUNTED else 1 + secrets.randbelow(10_000)
        candidate = f"{stem}{number}"
    return candidate, queries.fold(candidate)


def check_full_name(name: str | None) -> None:
    """Refuse what does not fit, or is not one line of text.

    Raises:
        ValidationFailed
    """
    if name is None:
        return
    if len(name) > MAX_FULL_NAME:
        raise ValidationFailed({"full_name": [f"Use {MAX_FULL_NAME} characters at most."]})
    if has_control_characters(name):
        raise ValidationFailed({"full_name": ["Control characters are not allowed here."]})


def words_about(*, email: str, username: str | None, full_name: str | None) -> tuple[str, ...]:
    """What no password of this user may contain: their names."""
    full_name = (full_name or "").strip()
    return (username or "", email.partition("@")[0], full_name, "".join(full_name.split()))
