-- Nights that another version scored again after they were decided.

-- name: nights_between
-- The published nights of a range, oldest first.
SELECT
    collection, night, images, ignored, scored, quarantined, anomalous, anomaly_rate, decision, sentence, model_name,
    model_version, data_version, image_threshold, false_alarm_rate, separability, validation_passed,
    validation_warnings, images_url, report_url, published_at, result_sha256
FROM night_results
WHERE collection = :collection AND night BETWEEN :since AND :until
ORDER BY night;

-- name: rescored_sha256
SELECT result_sha256
FROM rescored_night_results
WHERE
    collection = :collection AND night = :night
    AND model_name = :model_name AND model_version = :model_version;

-- name: delete_rescored
DELETE FROM rescored_night_results
WHERE
    collection = :collection AND night = :night
    AND model_name = :model_name AND model_version = :model_version;

-- name: insert_rescored
INSERT INTO rescored_night_results (
    collection, night, model_name, model_version, champion_name, champion_version, data_version, scored,
    both_anomalous, only_champion, only_rescored, left_out, agreement, rank_correlation, top_k, top_k_overlap,
    champion_decision, decision, sentence, compute_seconds, folder_url, result_sha256, published_at
) VALUES (
    :collection, :night, :model_name, :model_version, :champion_name, :champion_version, :data_version, :scored,
    :both_anomalous, :only_champion, :only_rescored, :left_out, :agreement, :rank_correlation, :top_k, :top_k_overlap,
    :champion_decision, :decision, :sentence, :compute_seconds, :folder_url, :result_sha256, :published_at
);

-- name: rescored_of_night
-- What other versions made of a night, the newest version first.
SELECT
    collection, night, model_name, model_version, champion_name, champion_version, data_version, scored,
    both_anomalous, only_champion, only_rescored, left_out, agreement, rank_correlation, top_k, top_k_overlap,
    champion_decision, decision, sentence, compute_seconds, folder_url
FROM rescored_night_results
WHERE collection = :collection AND night = :night
ORDER BY LENGTH(model_version) DESC, model_version DESC, model_name;

-- name: rescored_by_version
-- The newest nights before a date that a version scored again, newest first.
SELECT
    collection, night, model_name, model_version, champion_name, champion_version, data_version, scored,
    both_anomalous, only_champion, only_rescored, left_out, agreement, rank_correlation, top_k, top_k_overlap,
    champion_decision, decision, sentence, compute_seconds, folder_url
FROM rescored_night_results
WHERE
    collection = :collection AND model_name = :model_name AND model_version = :model_version
    AND (CAST(:before AS TEXT) IS NULL OR night < :before)
ORDER BY night DESC
LIMIT :limit;

-- name: rescoring_versions
-- Which versions scored nights again, and on how many of them they would have decided otherwise.
SELECT
    model_version,
    COUNT(*) AS nights,
    MIN(night) AS first_night,
    MAX(night) AS last_night,
    SUM(CASE WHEN decision <> champion_decision THEN 1 ELSE 0 END) AS decided_otherwise
FROM rescored_night_results
WHERE collection = :collection AND model_name = :model_name
GROUP BY model_version
ORDER BY LENGTH(model_version) DESC, model_version DESC;
