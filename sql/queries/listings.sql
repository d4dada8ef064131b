-- What programs read a page at a time.

-- name: page_of_nights
-- Newest first; those before a date, or from the newest on when :before is NULL.
SELECT
    collection, night, images, ignored, scored, quarantined, anomalous, anomaly_rate, decision, sentence, model_name,
    model_version, data_version, image_threshold, false_alarm_rate, separability, validation_passed,
    validation_warnings, images_url, report_url, published_at, result_sha256
FROM night_results
WHERE collection = :collection AND (CAST(:before AS TEXT) IS NULL OR night < :before)
ORDER BY night DESC
LIMIT :limit;

-- name: page_of_verdicts
-- In the order in which they were recorded: those after an entry.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE l.collection = :collection AND l.entry > :after
ORDER BY l.entry
LIMIT :limit;

-- name: page_of_verdicts_since
-- Of those, what was given or taken back at a moment or later: in two halves, as an OR would use no index.
-- The CROSS JOIN lets SQLite begin with the few that were taken back, not with the log.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM (
    SELECT given.entry
    FROM (
        SELECT entry
        FROM verdict_log
        WHERE collection = :collection AND "at" >= :since AND entry > :after
        ORDER BY entry
        LIMIT :limit
    ) AS given
    UNION
    SELECT taken_back.entry
    FROM (
        SELECT v.entry
        FROM verdict_withdrawals AS t
        CROSS JOIN verdict_log AS v
        WHERE t."at" >= :since AND v.entry = t.withdrawn AND v.collection = :collection AND v.entry > :after
        ORDER BY v.entry
        LIMIT :limit
    ) AS taken_back
) AS changed
INNER JOIN verdict_log AS l ON l.entry = changed.entry
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
ORDER BY l.entry
LIMIT :limit;
