"""The whole installation in one file: its database and the contents of its files, and back again."""
