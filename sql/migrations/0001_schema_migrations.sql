-- Which migrations this database has. The runner reads it before it applies the next one.
CREATE TABLE schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at TEXT NOT NULL -- ISO 8601, UTC
);
