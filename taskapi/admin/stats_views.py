"""The endpoint of figures, for administrators."""

from taskapi.admin import stats
from taskapi.admin.stats import Stats
from taskapi.admin.stats_schemas import StatsSchema
from taskapi.core.blueprint import Blueprint

blp = Blueprint("admin_stats", __name__, url_prefix="/api/admin", description="Administration: figures")


@blp.route("/stats", methods=["GET"])
@blp.requires("admin")
@blp.response(200, StatsSchema)
def read_stats() -> Stats:
    """How the installation does: people, work, store, queues and scheduler"""
    return stats.read_stats()
