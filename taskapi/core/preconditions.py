"""``If-Match``: a change is made only to the version that its author has seen (RFC 9110, 13.1.1).

``If-None-Match: *`` makes something only if it is not there yet (13.1.2).
"""

import re
from dataclasses import dataclass

from flask import request

from taskapi.core.errors import PreconditionFailed

# A tag begins with the version; what may follow it tells of things that do not void an edit.
TAG = re.compile(r"v([0-9]{1,9})(?:\..*)?")


@dataclass(frozen=True, slots=True)
class Precondition:
    """The versions that a change is meant for; None when any will do.

    Attributes:
        tags: as they were sent, for what has a tag and no version.
        must_exist: whether it is meant for something that is there already, whatever its version.
        must_be_new: whether it is meant for something that is not there yet.
    """

    versions: frozenset[int] | None = None
    tags: frozenset[str] | None = None
    must_exist: bool = False
    must_be_new: bool = False

    def check(self, version: int) -> None:
        """Call it once the row is locked, so that the version cannot change any more.

        Raises:
            PreconditionFailed: the resource has another version by now, or was not to be there.
        """
        if self.must_be_new:
            raise PreconditionFailed("It exists already.")
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailed(f"It was changed meanwhile: it is at version {version} now.")

    def check_absent(self) -> None:
        """The same for what a change would make: it has no version yet.

        Raises:
            PreconditionFailed: the change is meant for something that exists.
        """
        if self.must_exist:
            raise PreconditionFailed("It does not exist.")

    def check_tag(self, *current: str) -> None:
        """The same for what has no version.

        Args:
            current: its tags, of which one is enough. What follows one behind a dot, in a tag that was
                sent, tells of what voids no edit.

        Raises:
            PreconditionFailed: the resource has another tag by now, or was not to be there.
        """
        if self.must_be_new:
            raise PreconditionFailed("It exists already.")
        if self.tags is not None and not any(
            sent == tag or sent.startswith(f"{tag}.") for sent in self.tags for tag in current
        ):
            raise PreconditionFailed("It was changed meanwhile.")


ANY_VERSION = Precondition()


def requested_precondition() -> Precondition:
    """What the request's ``If-Match`` or ``If-None-Match`` says; a weak tag matches nothing there."""
    if "If-Match" not in request.headers:
        return Precondition(must_be_new=True) if request.if_none_match.star_tag else ANY_VERSION
    if request.if_match.star_tag:
        return Precondition(must_exist=True)
    # Werkzeug reads an empty tag as None.
    tags = frozenset(tag or "" for tag in request.if_match.as_set())
    matches = (TAG.fullmatch(tag) for tag in tags)
    return Precondition(frozenset(int(match[1]) for match in matches if match), tags, must_exist=True)
