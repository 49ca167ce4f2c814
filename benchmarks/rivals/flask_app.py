"""Tasks with flask-smorest, Flask-SQLAlchemy and flask-jwt-extended, as their documentation shows."""

import os
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask, request
from flask.views import MethodView
from flask_jwt_extended import JWTManager, current_user, jwt_required
from flask_smorest import Api, Blueprint, abort
from flask_sqlalchemy import SQLAlchemy
from marshmallow import Schema, fields, validate
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

STATUSES = ("todo", "in_progress", "done", "cancelled")
PRIORITIES = ("low", "medium", "high", "urgent")


class Base(DeclarativeBase):
    pass


Time = Annotated[datetime, mapped_column(sa.DateTime(timezone=True))]


app = Flask(__name__)
app.config.update(
    API_TITLE="Tasks",
    API_VERSION="1",
    OPENAPI_VERSION="3.1.0",
    JWT_SECRET_KEY=os.environ["SECRET_KEY"],
    SQLALCHEMY_DATABASE_URI=os.environ["RIVALS_DATABASE_URL"],
)
db = SQLAlchemy(app, model_class=Base)
api = Api(app)
jwt = JWTManager(app)
tasks = Blueprint("tasks", __name__, url_prefix="/api/tasks")


class User(db.Model):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    full_name: Mapped[str | None]
    password: Mapped[str]
    is_active: Mapped[bool]


class Task(db.Model):
    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    priority: Mapped[str]
    due_date: Mapped[Time | None]
    notify_overdue: Mapped[bool]
    owner_id: Mapped[int]
    assignee_id: Mapped[int | None]
    external_id: Mapped[str | None]
    city: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Time] = mapped_column(default=lambda: datetime.now(UTC))
    updated_at: Mapped[Time] = mapped_column(default=lambda: datetime.now(UTC))
    completed_at: Mapped[Time | None]


class Event(db.Model):
    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    type: Mapped[str]
    subject_id: Mapped[UUID]
    data: Mapped[dict] = mapped_column(JSONB)
    at: Mapped[Time] = mapped_column(default=lambda: datetime.now(UTC))


class TaskSchema(Schema):
    id = fields.UUID(dump_only=True)
    title = fields.String(required=True, validate=validate.Length(1, 200))
    description = fields.String(load_default="", validate=validate.Length(max=50_000))
    status = fields.String(load_default="todo", validate=validate.OneOf(STATUSES))
    priority = fields.String(load_default="medium", validate=validate.OneOf(PRIORITIES))
    due_date = fields.AwareDateTime(load_default=None)
    notify_overdue = fields.Boolean(load_default=True)
    owner_id = fields.Integer(dump_only=True)
    assignee_id = fields.Integer(load_default=None)
    external_id = fields.String(load_default=None, validate=validate.Length(max=200))
    city = fields.String(load_default=None, validate=validate.Length(max=100))
    version = fields.Integer(dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True)
    updated_at = fields.AwareDateTime(dump_only=True)
    completed_at = fields.AwareDateTime(dump_only=True)


class PageSchema(Schema):
    items = fields.List(fields.Nested(TaskSchema))
    page = fields.Integer()
    per_page = fields.Integer()
    total = fields.Integer()


class TaskQuery(Schema):
    status = fields.String(validate=validate.OneOf(STATUSES))
    sort = fields.String(load_default="-created_at", validate=validate.OneOf(("created_at", "-created_at")))
    page = fields.Integer(load_default=1, validate=validate.Range(1))
    per_page = fields.Integer(load_default=20, validate=validate.Range(1, 100))


@jwt.user_lookup_loader
def load_user(_header, claims):
    return db.session.get(User, int(claims["sub"]))


@tasks.route("")
class Tasks(MethodView):
    @jwt_required()
    @tasks.arguments(TaskQuery, location="query")
    @tasks.response(200, PageSchema)
    def get(self, query):
        mine = sa.select(Task).where(Task.owner_id == current_user.id)
        if "status" in query:
            mine = mine.where(Task.status == query["status"])
        order = (Task.created_at, Task.id)
        if query["sort"] == "-created_at":
            order = (Task.created_at.desc(), Task.id.desc())
        return db.paginate(mine.order_by(*order), page=query["page"], per_page=query["per_page"])

    @jwt_required()
    @tasks.arguments(TaskSchema)
    @tasks.response(201, TaskSchema)
    def post(self, new):
        task = Task(**new, owner_id=current_user.id)
        db.session.add(task)
        if "X-Event" in request.headers:
            db.session.flush()
            event = Event(type="task.created", subject_id=task.id, data=TaskSchema().dump(task))
            db.session.add(event)
        db.session.commit()
        return task


@tasks.route("/<uuid:task_id>")
class OneTask(MethodView):
    @jwt_required()
    @tasks.response(200, TaskSchema)
    def get(self, task_id):
        task = db.session.get(Task, task_id)
        if task is None or task.owner_id != current_user.id:
            abort(404)
        return task


api.register_blueprint(tasks)
