-- What was deleted on request.

-- name: find_deletion
SELECT request, collection, asked_at, "by", reason, is_original_deleted, finished_at, nights, models, removed
FROM deletion_log
WHERE request = :request;

-- name: list_deletions
-- The newest first; of one collection, or of all when :collection is NULL.
SELECT request, collection, asked_at, "by", reason, is_original_deleted, finished_at, nights, models, removed
FROM deletion_log
WHERE CAST(:collection AS TEXT) IS NULL OR collection = :collection
ORDER BY asked_at DESC, request;

-- name: insert_deletion
INSERT INTO deletion_log (
    request, collection, asked_at, "by", reason, is_original_deleted, finished_at, nights, models, removed
) VALUES (
    :request, :collection, :asked_at, :by, :reason, :is_original_deleted, NULL, '', '', ''
);

-- name: finish_deletion
-- What finished it first stays.
UPDATE deletion_log
SET finished_at = :finished_at, nights = :nights, models = :models, removed = :removed
WHERE request = :request AND finished_at IS NULL;

-- name: insert_deleted_content
-- Once, whichever request was first.
INSERT INTO deleted_contents (collection, digest, request)
SELECT :collection, :digest, :request
WHERE NOT EXISTS (SELECT 1 FROM deleted_contents WHERE collection = :collection AND digest = :digest);

-- name: deleted_contents
SELECT digest FROM deleted_contents WHERE collection = :collection;

-- name: all_deleted_contents
SELECT DISTINCT digest FROM deleted_contents;

-- name: insert_night_deletion
-- Once a request and published night: a second look would count what is left.
INSERT INTO night_deletions (collection, night, request, images, scored)
SELECT :collection, :night, :request, :images, :scored
WHERE
    EXISTS (SELECT 1 FROM night_results WHERE collection = :collection AND night = :night)
    AND NOT EXISTS (
        SELECT 1 FROM night_deletions WHERE collection = :collection AND night = :night AND request = :request
    );

-- name: delete_anomalies
-- Of the top anomalies of a night, those with a content.
DELETE FROM night_anomalies WHERE collection = :collection AND night = :night AND sha256 = :sha256;

-- name: nearest_of_night
-- The names of the good images that a night's top anomalies are nearest to.
SELECT DISTINCT nearest_path
FROM night_anomalies
WHERE collection = :collection AND night = :night AND nearest_path IS NOT NULL;

-- name: forget_nearest
-- The name of a good image that is deleted.
UPDATE night_anomalies
SET nearest_path = NULL
WHERE collection = :collection AND night = :night AND nearest_path = :path;

-- name: redact_result
-- The assessment of a night lost an image; what was measured and decided stays.
UPDATE night_results
SET result_sha256 = :new
WHERE collection = :collection AND night = :night AND result_sha256 = :old;

-- name: redact_verdicts
-- The only change that the log ever sees: what was said stays, the image's name and what was written of it go.
UPDATE verdict_log
SET path = :hidden, note = ''
WHERE collection = :collection AND sha256 = :sha256 AND (path <> :hidden OR note <> '');
