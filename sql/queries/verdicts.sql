-- name: append_verdict
-- The store holds the write lock, so the next numbers are free.
INSERT INTO verdict_log (
    entry, collection, night, scope, path, sha256, slice, verdict, "at", "by", note, source
) VALUES (
    :entry, :collection, :night, :scope, :path, :sha256, :slice, :verdict, :at, :by, :note, :source
);

-- name: append_withdrawal
INSERT INTO verdict_withdrawals (entry, withdrawn, "at", "by", source)
VALUES (:entry, :withdrawn, :at, :by, :source);

-- name: verdicts_on_subjects
-- What was said of some subjects until now.
SELECT l.entry, l.subject, l.verdict, l."at", l."by", l.note, w.entry IS NOT NULL AS is_withdrawn
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection AND l.subject IN :subjects
ORDER BY l."at", l.entry;

-- name: last_verdict_entry
-- Of all that was ever said or taken back.
SELECT COALESCE(MAX(entry), 0) AS entry
FROM (
    SELECT MAX(entry) AS entry FROM verdict_log
    UNION ALL
    SELECT MAX(entry) AS entry FROM verdict_withdrawals
) AS entries;

-- name: last_verdict_at
-- NULL where the collection has no verdict.
SELECT MAX("at") AS last_at FROM verdict_log WHERE collection = :collection;

-- name: list_verdicts
-- All that were ever given, in the order in which they were recorded.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection
ORDER BY l.entry;

-- name: list_verdicts_of_nights
-- The same of some nights only.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection AND l.night IN :nights
ORDER BY l.entry;

-- name: list_verdicts_on_subjects
-- The same of some subjects: everything that was ever said of them.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection AND l.subject IN :subjects
ORDER BY l.entry;

-- name: last_words
-- The last word of each person on some subjects, without what was taken back, in the order in which they were given.
SELECT entry, night, scope, path, sha256, slice, verdict, "at", "by", note, source
FROM (
    SELECT
        l.*,
        ROW_NUMBER() OVER (PARTITION BY l.subject, l."by" ORDER BY l."at" DESC, l.entry DESC) AS place
    FROM verdict_log AS l
    WHERE
        l.collection = :collection AND l.subject IN :subjects
        AND NOT EXISTS (SELECT 1 FROM verdict_withdrawals AS w WHERE w.withdrawn = l.entry)
) AS ranked
WHERE place = 1
ORDER BY "at", entry;

-- name: last_words_of_nights
-- The same on the top anomalies of the last nights before a date, on those nights and on their slices.
WITH recent AS (
    SELECT night FROM night_results
    WHERE collection = :collection AND night < :before
    ORDER BY night DESC
    LIMIT :limit
),
-- Materialised: else SQLite reads the whole log in the order of its subjects.
said AS MATERIALIZED (
    SELECT l.*
    FROM verdict_log AS l
    WHERE
        l.collection = :collection
        AND l.subject IN (
            SELECT a.sha256
            FROM night_anomalies AS a
            INNER JOIN recent AS r ON r.night = a.night
            WHERE a.collection = :collection
        )
    UNION ALL
    SELECT l.*
    FROM verdict_log AS l
    WHERE l.collection = :collection AND l.scope <> 'image' AND l.night IN (SELECT night FROM recent)
)
SELECT entry, night, scope, path, sha256, slice, verdict, "at", "by", note, source
FROM (
    SELECT
        s.*,
        ROW_NUMBER() OVER (PARTITION BY s.subject, s."by" ORDER BY s."at" DESC, s.entry DESC) AS place
    FROM said AS s
    WHERE NOT EXISTS (SELECT 1 FROM verdict_withdrawals AS w WHERE w.withdrawn = s.entry)
) AS ranked
WHERE place = 1
ORDER BY "at", entry;

-- name: last_standing_word
-- What a person said last of a night, or of something of it, that is in effect: neither taken back nor replaced.
SELECT l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source
FROM verdict_log AS l
WHERE
    l.collection = :collection AND l.night = :night AND l."by" = :by AND l.source = :source
    AND NOT EXISTS (SELECT 1 FROM verdict_withdrawals AS w WHERE w.withdrawn = l.entry)
    AND NOT EXISTS (
        SELECT 1
        FROM verdict_log AS later
        WHERE
            later.collection = l.collection AND later.subject = l.subject
            AND (later."at" > l."at" OR (later."at" = l."at" AND later.entry > l.entry))
            AND NOT EXISTS (SELECT 1 FROM verdict_withdrawals AS w WHERE w.withdrawn = later.entry)
    )
ORDER BY l.entry DESC
LIMIT 1;

-- name: find_verdict
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection AND l.entry = :entry;

-- name: changes_by_others
-- What others than a person said of a night or of something of it, or took back, after an entry.
SELECT l.entry, l."by", l."at"
FROM verdict_log AS l
WHERE l.collection = :collection AND l.night = :night AND l.entry > :entry AND l."by" <> :by
UNION ALL
SELECT w.entry, w."by", w."at"
FROM verdict_withdrawals AS w
INNER JOIN verdict_log AS l ON l.entry = w.withdrawn
WHERE l.collection = :collection AND l.night = :night AND w.entry > :entry AND w."by" <> :by
ORDER BY 1;
