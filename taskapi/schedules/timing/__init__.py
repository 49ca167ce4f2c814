"""When something is due and what becomes of it: pure rules, without a clock or a database."""
