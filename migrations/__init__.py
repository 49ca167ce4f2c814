"""Database migrations; they ship with the package so that an installed taskapi can upgrade itself."""
