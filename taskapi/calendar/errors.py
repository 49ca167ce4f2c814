"""Problems of calendar feeds."""

from taskapi.core.errors import Conflict, NotFound


class FeedNotFound(NotFound):
    """There is no such calendar feed, or it is somebody else's."""

    code = "calendar_feed_not_found"
    title = "Calendar feed not found"


class TooManyFeeds(Conflict):
    """One has as many calendar feeds as are allowed: delete some that are no longer used."""

    code = "too_many_calendar_feeds"
    title = "Too many calendar feeds"
