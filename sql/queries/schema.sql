-- name: schema_version
-- The newest migration that this database has.
SELECT COALESCE(MAX(version), 0) AS version FROM schema_migrations;

-- name: record_migration
INSERT INTO schema_migrations (version, name, applied_at) VALUES (:version, :name, :applied_at);
