"""Tasks with Django REST framework and simplejwt, as their documentation shows."""
