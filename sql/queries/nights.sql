-- name: night_result_sha256
-- What was published about a night, if anything.
SELECT result_sha256 FROM night_results WHERE collection = :collection AND night = :night;

-- name: delete_night
-- The rows of the other tables go with it (ON DELETE CASCADE).
DELETE FROM night_results WHERE collection = :collection AND night = :night;

-- name: insert_night
INSERT INTO night_results (
    collection, night, images_url, images, ignored, scored, quarantined, anomalous, anomaly_rate,
    image_threshold, false_alarm_rate, num_neighbors, decision, sentence, reasons, model_name, model_version,
    data_version, baseline_source, baseline_nights, baseline_scored, baseline_anomalous, baseline_anomaly_rate,
    frozen_scored, frozen_anomalous, separability, separability_p_value, baseline_separability,
    embedding_num_reference, embedding_num_night, validation_passed, validation_warnings, report_url,
    result_sha256, published_at
) VALUES (
    :collection, :night, :images_url, :images, :ignored, :scored, :quarantined, :anomalous, :anomaly_rate,
    :image_threshold, :false_alarm_rate, :num_neighbors, :decision, :sentence, :reasons, :model_name, :model_version,
    :data_version, :baseline_source, :baseline_nights, :baseline_scored, :baseline_anomalous, :baseline_anomaly_rate,
    :frozen_scored, :frozen_anomalous, :separability, :separability_p_value, :baseline_separability,
    :embedding_num_reference, :embedding_num_night, :validation_passed, :validation_warnings, :report_url,
    :result_sha256, :published_at
);

-- name: insert_reason
INSERT INTO decision_reasons (
    collection, night, position, code, verb, text, value, baseline, ratio, p_value, limit_value
) VALUES (
    :collection, :night, :position, :code, :verb, :text, :value, :baseline, :ratio, :p_value, :limit_value
);

-- name: insert_statistic_drift
INSERT INTO statistic_drift (
    collection, night, position, statistic, psi, p_value, adjusted_p_value, baseline_psi, reference_median,
    night_median
) VALUES (
    :collection, :night, :position, :statistic, :psi, :p_value, :adjusted_p_value, :baseline_psi, :reference_median,
    :night_median
);

-- name: insert_anomaly
INSERT INTO night_anomalies (
    collection, night, rank, path, sha256, image_score, is_anomalous, image_file, anomaly_map_file, nearest_path
) VALUES (
    :collection, :night, :rank, :path, :sha256, :image_score, :is_anomalous, :image_file, :anomaly_map_file,
    :nearest_path
);

-- name: insert_quarantine_count
INSERT INTO quarantine_counts (collection, night, reason, images)
VALUES (:collection, :night, :reason, :images);

-- name: list_nights
-- Newest first; of one collection, or of all when :collection is NULL.
SELECT
    collection, night, images, ignored, scored, quarantined, anomalous, anomaly_rate, decision, sentence, model_name,
    model_version, data_version, image_threshold, false_alarm_rate, separability, validation_passed,
    validation_warnings, images_url, report_url, published_at, result_sha256
FROM night_results
WHERE CAST(:collection AS TEXT) IS NULL OR collection = :collection
ORDER BY night DESC, collection
LIMIT :limit;

-- name: find_night
SELECT
    collection, night, images, ignored, scored, quarantined, anomalous, anomaly_rate, decision, sentence, model_name,
    model_version, data_version, image_threshold, false_alarm_rate, separability, validation_passed,
    validation_warnings, images_url, report_url, published_at, result_sha256
FROM night_results
WHERE collection = :collection AND night = :night;

-- name: nights_beside
-- The published nights before and after a date, NULL where there is none.
SELECT
    (SELECT MAX(night) FROM night_results WHERE collection = :collection AND night < :night) AS "before",
    (SELECT MIN(night) FROM night_results WHERE collection = :collection AND night > :night) AS "after";

-- name: night_images
SELECT rank, path, sha256
FROM night_anomalies
WHERE collection = :collection AND night = :night
ORDER BY rank;
