-- name: append_promotion
-- The store holds the write lock, so the next number is free.
INSERT INTO promotion_log (
    entry, collection, model_name, event, version, previous_version, "at", "by", reason, run
) VALUES (
    (SELECT COALESCE(MAX(entry), 0) + 1 FROM promotion_log),
    :collection, :model_name, :event, :version, :previous_version, :at, :by, :reason, :run
);

-- name: model_history
-- What was production of a collection and when, newest first.
SELECT collection, model_name, event, version, previous_version, "at", "until", "by", reason, run, entry
FROM model_history
WHERE collection = :collection
ORDER BY entry DESC;

-- name: promotions_of_model
-- The same of a model: its newest entry says which version is the champion.
SELECT collection, model_name, event, version, previous_version, "at", "until", "by", reason, run, entry
FROM model_history
WHERE model_name = :model_name
ORDER BY entry DESC;

-- name: last_change_of_champion
-- The newest entry of a version that replaced another one; a model's first champion replaced none.
SELECT "at", event
FROM promotion_log
WHERE model_name = :model_name AND version = :version AND previous_version IS NOT NULL
ORDER BY entry DESC
LIMIT 1;

-- name: count_nights_since
-- The nights before a date that a version has judged since it became the champion.
SELECT COUNT(*) AS nights
FROM night_results
WHERE
    collection = :collection AND model_name = :model_name AND model_version = :model_version AND night < :before
    AND published_at >= :since;

-- name: nights_of_versions
-- What the versions of a model have judged, of all nights of a collection.
SELECT
    model_version AS version,
    COUNT(*) AS nights,
    MIN(night) AS first_night,
    MAX(night) AS last_night,
    SUM(scored) AS scored,
    SUM(anomalous) AS anomalous
FROM night_results
WHERE collection = :collection AND model_name = :model_name
GROUP BY model_version;
