-- name: find_shadow
-- The shadow of a retraining.
SELECT
    collection, run, model_name, champion_version, challenger_version, challenger_fingerprint, nights_wanted, max_days,
    after_night, began_at, ended_at, ending, sentence
FROM shadows
WHERE collection = :collection AND run = :run;

-- name: active_shadow
-- The one that goes on; the table's index lets a collection have no second one.
SELECT
    collection, run, model_name, champion_version, challenger_version, challenger_fingerprint, nights_wanted, max_days,
    after_night, began_at, ended_at, ending, sentence
FROM shadows
WHERE collection = :collection AND ended_at IS NULL;

-- name: last_night
-- The newest published night, '' where there is none.
SELECT COALESCE(MAX(night), '') AS night FROM night_results WHERE collection = :collection;

-- name: delete_shadow
-- Its nights go with it (ON DELETE CASCADE).
DELETE FROM shadows WHERE collection = :collection AND run = :run;

-- name: insert_shadow
INSERT INTO shadows (
    collection, run, model_name, champion_version, challenger_version, challenger_fingerprint, nights_wanted, max_days,
    after_night, began_at
) VALUES (
    :collection, :run, :model_name, :champion_version, :challenger_version, :challenger_fingerprint, :nights_wanted,
    :max_days, :after_night, :began_at
);

-- name: end_shadow
-- What ended it first stays.
UPDATE shadows
SET ended_at = :ended_at, ending = :ending, sentence = :sentence
WHERE collection = :collection AND run = :run AND ended_at IS NULL;

-- name: list_shadow_nights
-- The nights that a shadow saw, oldest first.
SELECT
    collection, run, night, data_version, scored, both_anomalous, only_champion, only_challenger, agreement,
    rank_correlation, champion_decision, decision, sentence, report_url
FROM shadow_night_results
WHERE collection = :collection AND run = :run
ORDER BY night;

-- name: shadow_night_sha256
SELECT result_sha256 FROM shadow_night_results WHERE collection = :collection AND run = :run AND night = :night;

-- name: delete_shadow_night
DELETE FROM shadow_night_results WHERE collection = :collection AND run = :run AND night = :night;

-- name: insert_shadow_night
INSERT INTO shadow_night_results (
    collection, run, night, data_version, scored, both_anomalous, only_champion, only_challenger, agreement,
    rank_correlation, champion_decision, decision, sentence, report_url, result_sha256, published_at
) VALUES (
    :collection, :run, :night, :data_version, :scored, :both_anomalous, :only_champion, :only_challenger, :agreement,
    :rank_correlation, :champion_decision, :decision, :sentence, :report_url, :result_sha256, :published_at
);

-- name: forget_shadow_night
-- What the active shadow saw of a night whose images are others by now; all of it where :kept_version is NULL.
DELETE FROM shadow_night_results
WHERE
    collection = :collection AND night = :night
    AND (CAST(:kept_version AS TEXT) IS NULL OR data_version <> :kept_version)
    AND run IN (SELECT run FROM shadows WHERE collection = :collection AND ended_at IS NULL);
