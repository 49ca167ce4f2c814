"""Users and tasks."""

from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

STATUSES = [(word, word) for word in ("todo", "in_progress", "done", "cancelled")]
PRIORITIES = [(word, word) for word in ("low", "medium", "high", "urgent")]


class User(AbstractBaseUser):
    username = models.CharField(max_length=150, unique=True)
    email = models.EmailField()
    full_name = models.CharField(max_length=200, null=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "username"

    class Meta:
        app_label = "drf"
        managed = False
        db_table = "users"


class Event(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4)
    type = models.CharField(max_length=80)
    subject_id = models.UUIDField()
    data = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "drf"
        managed = False
        db_table = "events"


class Task(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid4)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="", max_length=50_000)
    status = models.CharField(max_length=20, choices=STATUSES, default="todo")
    priority = models.CharField(max_length=20, choices=PRIORITIES, default="medium")
    due_date = models.DateTimeField(null=True)
    notify_overdue = models.BooleanField(default=True)
    owner = models.ForeignKey(User, models.CASCADE, related_name="tasks")
    # A number, as with the others: a relation would ask the database for the user of each task made.
    assignee_id = models.IntegerField(null=True)
    external_id = models.CharField(max_length=200, null=True)
    city = models.CharField(max_length=100, null=True)
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "drf"
        managed = False
        db_table = "tasks"
