"""Short texts that change with what they stand for, for entity tags (RFC 9110, section 8.8.3)."""

from hashlib import blake2b
from uuid import UUID


def digest(*state: object) -> str:
    """The same for the same state: numbers, texts, times, and what is made of them."""
    return blake2b(repr(state).encode(errors="replace"), digest_size=8).hexdigest()


def tag_of_used(identifier: UUID, *use: object) -> str:
    """The tag of what nobody changes, but only uses: that comes behind the dot, and voids no edit."""
    return f"{identifier.hex}.{digest(*use)}"
