"""What tests of the whole API take from the rooms."""

from tests.events.live.conftest import listening

__all__ = ("listening",)
