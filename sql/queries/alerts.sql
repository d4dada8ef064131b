-- name: find_alert
SELECT content_sha256, told_at, claimed_at, over_at
FROM alert_log
WHERE audience = :audience AND alert_key = :alert_key;

-- name: insert_alert
INSERT INTO alert_log (
    audience, alert_key, kind, collection, night, title, sentence, cause_sha256, content_sha256, first_at, last_at,
    happened, told, claimed_at
) VALUES (
    :audience, :alert_key, :kind, :collection, :night, :title, :sentence, :cause_sha256, :content_sha256, :now, :now,
    1, 0, :claimed_at
);

-- name: repeat_alert
-- It happened once more; :claimed_at is NULL where people are not told again. Of another content nobody knows yet.
UPDATE alert_log
SET
    title = :title, sentence = :sentence, cause_sha256 = :cause_sha256, content_sha256 = :content_sha256,
    told_at = CASE WHEN content_sha256 = :content_sha256 THEN told_at END,
    last_at = :now, happened = happened + 1, claimed_at = COALESCE(:claimed_at, claimed_at)
WHERE audience = :audience AND alert_key = :alert_key;

-- name: reopen_alert
-- The same trouble after it was over is a new one.
UPDATE alert_log
SET first_at = :now, last_at = :now, happened = 0, told = 0, told_at = NULL, over_at = NULL, collection = :collection
WHERE audience = :audience AND alert_key = :alert_key;

-- name: alerts_of_cause
-- Whom one cause has struck since a moment, in the order in which it did.
SELECT collection, night, alert_key, told_at, claimed_at
FROM alert_log
WHERE audience = :audience AND cause_sha256 = :cause_sha256 AND last_at >= :since
ORDER BY last_at, alert_key;

-- name: confirm_alert
-- Where it has another content by now, that one is told by somebody else.
UPDATE alert_log
SET
    told = told + :times,
    told_at = CASE WHEN content_sha256 = :content_sha256 THEN :now ELSE told_at END,
    claimed_at = CASE WHEN content_sha256 = :content_sha256 THEN NULL ELSE claimed_at END
WHERE audience = :audience AND alert_key = :alert_key;

-- name: confirm_other
-- It was named among those of its cause.
UPDATE alert_log
SET told_at = :now
WHERE audience = :audience AND alert_key = :alert_key AND told_at IS NULL;

-- name: release_alert
-- Nobody could be told: the next time is the first one.
UPDATE alert_log SET claimed_at = NULL WHERE audience = :audience AND alert_key = :alert_key;

-- name: open_troubles
-- Services that did not answer, whose end was not told yet.
SELECT alert_key, collection, sentence, first_at, last_at, happened
FROM alert_log
WHERE audience = :audience AND kind = 'service' AND over_at IS NULL AND told_at IS NOT NULL
ORDER BY first_at;

-- name: claim_end
-- Counts for whoever comes first.
UPDATE alert_log
SET claimed_at = :now
WHERE
    audience = :audience AND alert_key = :alert_key AND over_at IS NULL
    AND (claimed_at IS NULL OR claimed_at <= :expired_at);

-- name: end_trouble
UPDATE alert_log
SET over_at = :now, claimed_at = NULL
WHERE audience = :audience AND alert_key = :alert_key;
