"""What tests of the audit log take from elsewhere."""

from tests.events.live.conftest import listening

__all__ = ("listening",)
