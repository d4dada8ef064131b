-- name: append_verdict
-- The store holds the write lock, so the next numbers are free.
INSERT INTO verdict_log (
    entry, collection, night, scope, path, sha256, slice, verdict, "at", "by", note, source
) VALUES (
    :entry, :collection, :night, :scope, :path, :sha256, :slice, :verdict, :at, :by, :note, :source
);

-- name: verdicts_on_subjects
-- What was said of some subjects until now.
SELECT subject, verdict, "at", "by", note
FROM verdict_log
WHERE collection = :collection AND subject IN :subjects
ORDER BY "at", entry;

-- name: last_verdict_entry
SELECT COALESCE(MAX(entry), 0) AS entry FROM verdict_log;

-- name: last_verdict_at
-- NULL where the collection has no verdict.
SELECT MAX("at") AS last_at FROM verdict_log WHERE collection = :collection;

-- name: list_verdicts
-- All that were ever given, in the order in which they were recorded.
SELECT entry, night, scope, path, sha256, slice, verdict, "at", "by", note, source
FROM verdict_log
WHERE collection = :collection
ORDER BY entry;

-- name: list_verdicts_of_nights
-- The same of some nights only.
SELECT entry, night, scope, path, sha256, slice, verdict, "at", "by", note, source
FROM verdict_log
WHERE collection = :collection AND night IN :nights
ORDER BY entry;
