-- What programs read a page at a time.

-- name: page_of_nights
-- Newest first; those before a date, or from the newest on when :before is NULL.
SELECT
    collection, night, images, ignored, scored, quarantined, anomalous, anomaly_rate, decision, sentence, model_name,
    model_version, data_version, image_threshold, false_alarm_rate, separability, validation_passed,
    validation_warnings, images_url, report_url, published_at
FROM nights
WHERE collection = :collection AND (CAST(:before AS TEXT) IS NULL OR night < :before)
ORDER BY night DESC
LIMIT :limit;

-- name: page_of_verdicts
-- In the order in which they were recorded: those after an entry, and given or taken back since a moment or ever.
SELECT
    l.entry, l.night, l.scope, l.path, l.sha256, l.slice, l.verdict, l."at", l."by", l.note, l.source,
    w."at" AS withdrawn_at
FROM verdict_log AS l
LEFT JOIN verdict_withdrawals AS w ON w.withdrawn = l.entry
WHERE
    l.collection = :collection AND l.entry > :after
    AND (CAST(:since AS TEXT) IS NULL OR l."at" >= :since OR w."at" >= :since)
ORDER BY l.entry
LIMIT :limit;
