"""The actions that schedules can do, one file each, and the registry that knows them."""
