"""Made-up people and their work: a small team for trying things out, a crowd for measuring."""
