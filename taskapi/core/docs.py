"""Pages for people who read the API: Swagger UI at /docs, ReDoc at /redoc, /problems/{code}.

All assets come from the application itself, so the pages work without the internet.
"""

from inspect import getdoc
from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Blueprint, Flask, Response, render_template, request, send_from_directory

from taskapi.core.errors import NotFound, all_errors

SWAGGER_ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
OWN_ASSETS = Path(__file__).parent / "static"
# Swagger UI and ReDoc write style attributes and draw inline images; scripts are ours alone.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'"
)

# The names of the templates begin with docs_: flask-smorest brings a redoc.html, which would win.
pages = Blueprint("docs", __name__, template_folder="templates")


def install_docs(app: Flask) -> None:
    app.register_blueprint(pages)
    own = {f"docs.{name}" for name in ("swagger", "redoc", "asset", "problem")}
    app.extensions["taskapi_public_endpoints"] |= own | {"api-docs.openapi_json"}
    # A page of the docs asks for many at once.
    app.extensions["taskapi_uncounted_endpoints"] |= {"docs.asset"}


@pages.get("/docs")
def swagger() -> Response:
    return _page("docs_swagger.html")


@pages.get("/redoc")
def redoc() -> Response:
    return _page("docs_redoc.html")


@pages.get("/docs/assets/<path:name>")
def asset(name: str) -> Response:
    folder = OWN_ASSETS if (OWN_ASSETS / name).is_file() else SWAGGER_ASSETS
    return send_from_directory(folder, name, max_age=86_400)


@pages.get("/problems/<code>")
def problem(code: str) -> Response | dict[str, Any]:
    """What a problem's ``type`` leads to: JSON for programs, a page for people."""
    found = next((kind for kind in all_errors() if kind.code == code), None)
    if found is None:
        raise NotFound(f"There is no problem {code!r}.")
    about = {"code": code, "title": found.title, "status": found.status, "description": getdoc(found)}
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return _page("docs_problem.html", problem=about)
    return about


def _page(template: str, **values: Any) -> Response:
    response = Response(render_template(template, **values), mimetype="text/html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response
