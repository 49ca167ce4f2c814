"""Tasks on the wire, and their views."""

from django.db import transaction
from rest_framework import serializers, viewsets

from benchmarks.rivals.drf.models import Event, Task


class TaskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Task
        fields = (
            *("id", "title", "description", "status", "priority", "due_date", "notify_overdue", "owner_id"),
            *("assignee_id", "external_id", "city", "version", "created_at", "updated_at", "completed_at"),
        )
        read_only_fields = ("id", "owner_id", "version", "created_at", "updated_at", "completed_at")


class QuerySerializer(serializers.Serializer):
    status = serializers.ChoiceField(["todo", "in_progress", "done", "cancelled"], required=False)
    sort = serializers.ChoiceField(["created_at", "-created_at"], default="-created_at")


class TaskViewSet(viewsets.ModelViewSet):
    serializer_class = TaskSerializer

    def get_queryset(self):
        query = QuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        mine = Task.objects.filter(owner=self.request.user)
        if "status" in query.validated_data:
            mine = mine.filter(status=query.validated_data["status"])
        order = query.validated_data["sort"]
        return mine.order_by(order, "-id" if order.startswith("-") else "id")

    def perform_create(self, serializer):
        if "X-Event" not in self.request.headers:
            serializer.save(owner=self.request.user)
            return
        with transaction.atomic():
            task = serializer.save(owner=self.request.user)
            Event.objects.create(type="task.created", subject_id=task.id, data=serializer.data)
