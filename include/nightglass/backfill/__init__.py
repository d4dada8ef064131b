"""Score nights again with another version, beside what was decided at the time."""
