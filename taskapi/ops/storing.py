"""Whether the store of files answers, for those who ask often and must not wait for it."""

import threading
import time
from dataclasses import dataclass, field

from flask import Flask, current_app

from taskapi.clients.storage import current_storage
from taskapi.clients.storage.base import ObjectMissing, StorageUnavailable
from taskapi.files import figures

LOOK_SECONDS = 30.0
# A store that takes longer counts as silent until it has answered.
PATIENCE_SECONDS = 0.5
# No object has this name: real ones are random.
NO_OBJECT = "0" * 32


@dataclass
class _Watch:
    answers: bool = True
    looked_at: float = float("-inf")
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


def store_answers() -> bool:
    """Whether it answered within half a minute; where no file is stored nobody asks it."""
    if figures.stored()[0] == 0:
        return True
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    watch: _Watch = app.extensions.setdefault("taskapi_store_watch", _Watch())
    with watch.lock:
        if watch.thread is None and time.monotonic() - watch.looked_at >= LOOK_SECONDS:
            watch.thread = threading.Thread(target=_look, args=(app, watch), name="store", daemon=True)
            watch.thread.start()
        thread = watch.thread
    if thread is not None:
        thread.join(PATIENCE_SECONDS)
        if thread.is_alive():
            return False
    return watch.answers


def _look(app: Flask, watch: _Watch) -> None:
    try:
        with app.app_context():
            current_storage().open(NO_OBJECT).close()
    except ObjectMissing:
        watch.answers = True
    except StorageUnavailable:
        watch.answers = False
    finally:
        watch.looked_at, watch.thread = time.monotonic(), None
