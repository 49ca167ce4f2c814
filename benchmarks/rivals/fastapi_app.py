"""Tasks with FastAPI, SQLAlchemy's asyncio and asyncpg, after the tutorials of the two."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import jwt
import sqlalchemy as sa
from fastapi import Depends, FastAPI, Header, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET_KEY = os.environ["SECRET_KEY"]
engine = create_async_engine(os.environ["RIVALS_DATABASE_URL"], pool_size=20, max_overflow=10)
new_session = async_sessionmaker(engine, expire_on_commit=False)
oauth2 = OAuth2PasswordBearer(tokenUrl="token")
app = FastAPI()

Status = Literal["todo", "in_progress", "done", "cancelled"]
Priority = Literal["low", "medium", "high", "urgent"]


class Base(DeclarativeBase):
    type_annotation_map = {datetime: sa.DateTime(timezone=True)}


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    email: Mapped[str]
    full_name: Mapped[str | None]
    password: Mapped[str]
    is_active: Mapped[bool]


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    description: Mapped[str]
    status: Mapped[str]
    priority: Mapped[str]
    due_date: Mapped[datetime | None]
    notify_overdue: Mapped[bool]
    owner_id: Mapped[int]
    assignee_id: Mapped[int | None]
    external_id: Mapped[str | None]
    city: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    completed_at: Mapped[datetime | None] = mapped_column(default=None)


class Event(Base):
    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    type: Mapped[str]
    subject_id: Mapped[UUID]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]


class NewTask(BaseModel):
    title: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=50_000)
    status: Status = "todo"
    priority: Priority = "medium"
    due_date: datetime | None = None
    notify_overdue: bool = True
    assignee_id: int | None = None
    external_id: str | None = Field(None, max_length=200)
    city: str | None = Field(None, max_length=100)


class TaskOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    description: str
    status: Status
    priority: Priority
    due_date: datetime | None
    notify_overdue: bool
    owner_id: int
    assignee_id: int | None
    external_id: str | None
    city: str | None
    version: int
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


class Page(BaseModel):
    items: list[TaskOut]
    page: int
    per_page: int
    total: int


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


async def current_user(token: Annotated[str, Depends(oauth2)], session: Session) -> User:
    refused = HTTPException(status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    try:
        user_id = int(jwt.decode(token, SECRET_KEY, algorithms=["HS256"])["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise refused from None
    user = await session.get(User, user_id)
    if user is None or not user.is_active:
        raise refused
    return user


CurrentUser = Annotated[User, Depends(current_user)]


@app.get("/api/tasks", response_model=Page)
async def list_tasks(
    session: Session,
    user: CurrentUser,
    status: Status | None = None,
    sort: Literal["created_at", "-created_at"] = "-created_at",
    page: Annotated[int, Query(ge=1)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 20,
):
    mine = sa.select(Task).where(Task.owner_id == user.id)
    if status is not None:
        mine = mine.where(Task.status == status)
    total = await session.scalar(sa.select(sa.func.count()).select_from(mine.subquery()))
    order = (Task.created_at, Task.id)
    if sort == "-created_at":
        order = (Task.created_at.desc(), Task.id.desc())
    found = await session.scalars(mine.order_by(*order).limit(per_page).offset((page - 1) * per_page))
    return Page(items=list(found), page=page, per_page=per_page, total=total)


@app.get("/api/tasks/{task_id}", response_model=TaskOut)
async def get_task(task_id: UUID, session: Session, user: CurrentUser):
    task = await session.get(Task, task_id)
    if task is None or task.owner_id != user.id:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return task


@app.post("/api/tasks", response_model=TaskOut, status_code=201)
async def create_task(
    new: NewTask, session: Session, user: CurrentUser, x_event: Annotated[str | None, Header()] = None
):
    now = datetime.now(UTC)
    task = Task(**new.model_dump(), id=uuid4(), version=1, owner_id=user.id, created_at=now, updated_at=now)
    session.add(task)
    if x_event:
        data = TaskOut.model_validate(task).model_dump(mode="json")
        session.add(Event(type="task.created", subject_id=task.id, data=data, at=now))
    await session.commit()
    return task
