-- Nights with their drift: one row a night and statistic, which the store folds into one summary a night.

-- name: quiet_nights
-- The nights that a version judged ok or watch before a date, newest first.
SELECT
    n.collection, n.night, n.model_version, n.scored, n.anomalous, n.quarantined, n.anomaly_rate, n.decision,
    n.separability, d.statistic, d.psi
FROM (
    SELECT * FROM night_results
    WHERE
        collection = :collection AND model_name = :model_name AND model_version = :model_version
        AND night < :before
        AND decision IN ('ok', 'watch')
    ORDER BY night DESC
    LIMIT :limit
) AS n
LEFT JOIN statistic_drift AS d ON d.collection = n.collection AND d.night = n.night
ORDER BY n.night DESC, d.position;

-- name: first_nights
-- The same nights from the other end: the first ones of the version, oldest first.
SELECT
    n.collection, n.night, n.model_version, n.scored, n.anomalous, n.quarantined, n.anomaly_rate, n.decision,
    n.separability, d.statistic, d.psi
FROM (
    SELECT * FROM night_results
    WHERE
        collection = :collection AND model_name = :model_name AND model_version = :model_version
        AND night < :before
        AND decision IN ('ok', 'watch')
    ORDER BY night
    LIMIT :limit
) AS n
LEFT JOIN statistic_drift AS d ON d.collection = n.collection AND d.night = n.night
ORDER BY n.night, d.position;

-- name: recent_nights
-- The last nights up to and including a date, whatever was decided, oldest first.
SELECT
    n.collection, n.night, n.model_version, n.scored, n.anomalous, n.quarantined, n.anomaly_rate, n.decision,
    n.separability, d.statistic, d.psi
FROM (
    SELECT * FROM night_results
    WHERE collection = :collection AND night <= :until
    ORDER BY night DESC
    LIMIT :limit
) AS n
LEFT JOIN statistic_drift AS d ON d.collection = n.collection AND d.night = n.night
ORDER BY n.night, d.position;

-- name: usual_counts
-- How many images the last nights had that were judged.
SELECT images
FROM night_results
WHERE collection = :collection AND night < :before AND decision <> 'hold'
ORDER BY night DESC
LIMIT :limit;

-- name: recent_top_anomalies
-- The top anomalies of the last nights before a date, whatever was decided.
SELECT n.night, n.model_version, a.path, a.sha256
FROM (
    SELECT night, model_version FROM night_results
    WHERE collection = :collection AND night < :before
    ORDER BY night DESC
    LIMIT :limit
) AS n
JOIN night_anomalies AS a ON a.collection = :collection AND a.night = n.night
ORDER BY n.night DESC, a.rank;

-- name: night_measures
-- The last nights' anomaly rate and largest PSI with what was usual then, oldest first.
SELECT
    n.night, n.decision, n.anomaly_rate, n.baseline_anomaly_rate, MAX(d.psi) AS psi, MAX(d.baseline_psi) AS baseline_psi
FROM (
    SELECT collection, night, decision, anomaly_rate, baseline_anomaly_rate
    FROM night_results
    WHERE collection = :collection
    ORDER BY night DESC
    LIMIT :limit
) AS n
LEFT JOIN statistic_drift AS d ON d.collection = n.collection AND d.night = n.night
GROUP BY n.night, n.decision, n.anomaly_rate, n.baseline_anomaly_rate
ORDER BY n.night;
