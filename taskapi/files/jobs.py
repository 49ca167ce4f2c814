"""Jobs of the files room, called by workers."""

from taskapi.clients.storage import current_storage
from taskapi.files import objects, sampling, sweeping


def remove_object(key: str) -> None:
    """Remove an object that belongs to no file any more."""
    objects.remove_object(key=key, storage=current_storage())


def sweep_objects() -> None:
    """Remove objects whose removal was put off or forgotten, and what dead uploads left."""
    sweeping.remove_due(storage=current_storage())


def sample_files() -> None:
    """Check some files that nobody checked for long."""
    sampling.sample_files()
