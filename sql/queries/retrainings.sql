-- name: retraining_sha256
-- What was published about a retraining, if anything.
SELECT result_sha256 FROM retraining_results WHERE collection = :collection AND run = :run;

-- name: delete_retraining
-- Its gates go with it (ON DELETE CASCADE).
DELETE FROM retraining_results WHERE collection = :collection AND run = :run;

-- name: insert_retraining
INSERT INTO retraining_results (
    collection, run, model_name, champion_version, challenger_version, data_version, started_at, finished_at,
    requested_by, reason, outcome, sentence, failed_gates, folder_url, result_sha256
) VALUES (
    :collection, :run, :model_name, :champion_version, :challenger_version, :data_version, :started_at, :finished_at,
    :requested_by, :reason, :outcome, :sentence, :failed_gates, :folder_url, :result_sha256
);

-- name: insert_gate
INSERT INTO retraining_gates (
    collection, run, position, name, title, champion, challenger, low, high, limit_value, passed, why
) VALUES (
    :collection, :run, :position, :name, :title, :champion, :challenger, :low, :high, :limit_value, :passed, :why
);

-- name: list_retrainings
-- Newest first, one row a gate; of one collection, or of all when :collection is NULL.
SELECT
    r.collection, r.run, r.model_name, r.champion_version, r.challenger_version, r.data_version, r.started_at,
    r.finished_at, r.requested_by, r.reason, r.outcome, r.sentence, r.folder_url,
    g.name, g.title, g.champion, g.challenger, g.low, g.high, g.limit_value, g.passed, g.why
FROM (
    SELECT *
    FROM retraining_results
    WHERE CAST(:collection AS TEXT) IS NULL OR collection = :collection
    ORDER BY started_at DESC, collection, run
    LIMIT :limit
) AS r
LEFT JOIN retraining_gates AS g ON g.collection = r.collection AND g.run = r.run
ORDER BY r.started_at DESC, r.collection, r.run, g.position;

-- name: retraining_outcomes
-- What came of every challenger of a model, oldest first: the last one of a version counts.
SELECT challenger_version, outcome
FROM retraining_results
WHERE model_name = :model_name AND challenger_version IS NOT NULL
ORDER BY started_at, run;
