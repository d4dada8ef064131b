-- What people query. Their columns are a contract: add at the end, never rename.

CREATE VIEW nights AS
SELECT
    collection,
    night,
    images,
    ignored,
    scored,
    quarantined,
    anomalous,
    anomaly_rate,
    decision,
    sentence,
    model_name,
    model_version,
    data_version,
    image_threshold,
    false_alarm_rate,
    separability,
    validation_passed,
    validation_warnings,
    images_url,
    report_url,
    published_at
FROM night_results;

CREATE VIEW top_anomalies AS
SELECT
    a.collection,
    a.night,
    a.rank,
    a.path,
    a.image_score,
    a.is_anomalous,
    a.nearest_path,
    a.sha256,
    a.image_file,
    a.anomaly_map_file,
    n.image_threshold,
    n.model_name,
    n.model_version,
    n.images_url,
    n.report_url
FROM night_anomalies AS a
INNER JOIN night_results AS n ON n.collection = a.collection AND n.night = a.night;

-- One row a night; where the anomaly rate was judged, its ratio and p-value are those of that reason.
CREATE VIEW decisions AS
SELECT
    n.collection,
    n.night,
    n.decision,
    n.sentence,
    n.reasons,
    n.scored,
    n.anomalous,
    n.anomaly_rate,
    n.baseline_source,
    n.baseline_nights,
    n.baseline_scored,
    n.baseline_anomalous,
    n.baseline_anomaly_rate,
    r.ratio AS anomaly_rate_ratio,
    r.p_value AS anomaly_rate_p_value,
    n.frozen_scored,
    n.frozen_anomalous,
    (
        SELECT MAX(d.psi)
        FROM statistic_drift AS d
        WHERE d.collection = n.collection AND d.night = n.night
    ) AS max_psi,
    n.separability,
    n.separability_p_value,
    n.baseline_separability,
    n.validation_passed,
    n.validation_warnings,
    n.model_name,
    n.model_version,
    n.data_version,
    n.published_at
FROM night_results AS n
LEFT JOIN decision_reasons AS r
    ON
        r.collection = n.collection
        AND r.night = n.night
        AND r.position = (
            SELECT MIN(f.position)
            FROM decision_reasons AS f
            WHERE f.collection = n.collection AND f.night = n.night AND f.code = 'anomaly_rate'
        );

-- A version was production from "at" until "until"; the row whose "until" is NULL is production now.
CREATE VIEW model_history AS
SELECT
    collection,
    model_name,
    event,
    version,
    previous_version,
    "at",
    LEAD("at") OVER (PARTITION BY model_name ORDER BY entry) AS "until",
    "by",
    reason,
    run,
    entry
FROM promotion_log;
