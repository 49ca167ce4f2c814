"""The queues on a page for people: rq-dashboard under /admin/rq."""

from flask import Blueprint, Flask, Response

from taskapi.admin.basic import admit_administrator
from taskapi.background import dashboard

pages = Blueprint("admin_rq", __name__, url_prefix="/admin/rq")


def install_dashboard(app: Flask) -> None:
    """Who may see it is asked in a way that browsers understand, so by the view itself."""
    app.register_blueprint(pages)
    app.extensions["taskapi_public_endpoints"] |= {"admin_rq.show"}


@pages.get("", defaults={"path": ""})
@pages.get("/<path:path>")
def show(path: str) -> Response:
    """What waits in the queues, and who works on it"""
    admit_administrator()
    return dashboard.show(path)
