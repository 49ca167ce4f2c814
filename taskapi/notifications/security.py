"""E-mails about the security of an account: links with a secret, and news for the owner.

They cannot be switched off, and only active accounts get them.
"""

from dataclasses import dataclass

from taskapi.accounts import recovery
from taskapi.accounts import service as accounts
from taskapi.accounts.one_time import LIFETIMES, PASSWORD_RESET, VERIFY_EMAIL
from taskapi.core.events import Event
from taskapi.core.runtime import runtime_settings
from taskapi.notifications import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A mail with a link to a page of the application."""

    kind: str
    purpose: str
    subject: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A mail that says what happened, and what to do if it was somebody else."""

    kind: str
    subject: str
    facts: str
    advice: str


# By the type of the event that asks for it.
LINKS = {
    "user.email_verification_requested": Link(
        kind="verify_email",
        purpose=VERIFY_EMAIL,
        subject="Confirm your e-mail address",
        path="/api/auth/verify-email",
        reason="Somebody gave this address for an account.",
    ),
    "user.password_reset_requested": Link(
        kind="password_reset",
        purpose=PASSWORD_RESET,
        subject="Choose a new password",
        path="/api/auth/password-reset/confirm",
        reason="Somebody asked for this link.",
    ),
    "user.invited": Link(
        kind="invitation",
        purpose=PASSWORD_RESET,
        subject="Choose a password",
        path="/api/auth/password-reset/confirm",
        reason="An administrator made an account for you.",
    ),
}
RESET_NOW = "If it was not you, reset your password at once and tell your administrator."
CHANGE_NOW = "If you know nothing of it, change your password at once: somebody else may know it."
NEWS = {
    "user.password_changed": News(
        kind="password_changed",
        subject="Your password was changed",
        facts="The password of your account was changed, and other sessions were signed out.",
        advice=RESET_NOW,
    ),
    "session.reuse_detected": News(
        kind="session_reuse",
        subject="An old sign-in of yours was used again",
        facts="Somebody used an old sign-in of yours, which may have been copied. That session was ended.",
        advice="If it was not you, change your password.",
    ),
    "user.second_factor_enabled": News(
        kind="second_factor_changed",
        subject="Signing in now takes a second factor",
        facts="An authenticator app was connected with your account: signing in takes its codes.",
        advice=RESET_NOW,
    ),
    "user.second_factor_disabled": News(
        kind="second_factor_changed",
        subject="Signing in takes no second factor any more",
        facts="The second factor of your account was switched off: the password alone signs in.",
        advice=CHANGE_NOW,
    ),
    "user.second_factor_refused": News(
        kind="second_factor_changed",
        subject="Somebody signed in with your password, but not with a code",
        facts="Somebody gave the password of your account, and three wrong codes of the second factor.",
        advice=CHANGE_NOW,
    ),
    "user.recovery_code_used": News(
        kind="second_factor_changed",
        subject="A recovery code was used",
        facts="One of your recovery codes took the place of the second factor. It is used up.",
        advice=CHANGE_NOW,
    ),
}


def mail_link(event: Event) -> None:
    """Mail the link that somebody asked for, if it is for an account that may have it."""
    if event.owner_id is None:
        return
    about = LINKS[event.type]
    issued = recovery.issue_link(user_id=event.owner_id, purpose=about.purpose, asked_at=event.created_at)
    if issued is None:
        return
    user = issued.user
    # Behind the #: no server log, no Referer and no link scanner gets to see it. The address is the
    # configured one, never what a request claims to be sent to.
    link = f"{runtime_settings().public_url}{about.path}#token={outbox.SECRET_PLACEHOLDER}"
    outbox.queue_email(
        key=f"event:{event.id}",
        kind=about.kind,
        recipient=user.email,
        user_id=user.id,
        subject=about.subject,
        context={
            "link": link,
            "account": user.email,
            "timezone": user.timezone,
            "until": (event.created_at + LIFETIMES[about.purpose]).isoformat(),
            "reason": about.reason,
        },
        one_time_token_id=issued.one_time_token_id,
    )


def mail_news(event: Event) -> None:
    """Tell the owner of an account what happened to it."""
    if event.owner_id is None:
        return
    about = NEWS[event.type]
    user, is_active = accounts.mail_preference(user_id=event.owner_id, kind=about.kind)
    if user is None or not is_active:
        return
    outbox.queue_email(
        key=f"event:{event.id}",
        kind=about.kind,
        recipient=user.email,
        user_id=user.id,
        subject=about.subject,
        context={
            "facts": about.facts,
            "advice": about.advice,
            "account": user.email,
            "timezone": user.timezone,
            "at": event.created_at.isoformat(),
            "reason": "This is about the security of your account.",
        },
    )
