"""The paths."""

from rest_framework.routers import SimpleRouter

from benchmarks.rivals.drf.views import TaskViewSet

router = SimpleRouter(trailing_slash=False)
router.register("api/tasks", TaskViewSet, basename="task")
urlpatterns = router.urls
