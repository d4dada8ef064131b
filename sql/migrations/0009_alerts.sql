-- What people were told, so that nobody is told twice: one row an audience and alert.
CREATE TABLE alert_log (
    audience TEXT NOT NULL, -- the Airflow connection that holds the addresses; '' for NIGHTGLASS_ALERT_URLS
    alert_key TEXT NOT NULL, -- what it is about, such as decision/cells/2026-03-02
    kind TEXT NOT NULL,
    collection TEXT NOT NULL, -- of a service: whose task noticed it first
    night TEXT NOT NULL, -- '' where it is about none
    title TEXT NOT NULL,
    sentence TEXT NOT NULL,
    cause_sha256 TEXT NOT NULL, -- those of one cause are told together; '' stands alone
    content_sha256 TEXT NOT NULL,
    first_at TEXT NOT NULL, -- when it happened first and last; ISO 8601, UTC, as the other times
    last_at TEXT NOT NULL,
    happened BIGINT NOT NULL, -- how often
    told BIGINT NOT NULL, -- how often people were told
    told_at TEXT, -- when they were last, or were told of others of its cause; NULL: nobody knows yet
    claimed_at TEXT, -- when a process began to tell it; NULL when it was done
    over_at TEXT, -- of a service: when it answered again
    PRIMARY KEY (audience, alert_key)
);

CREATE INDEX alert_log_by_cause ON alert_log (audience, cause_sha256, last_at);

-- One row an alert, whoever was told. Its columns are a contract: add at the end, never rename.
CREATE VIEW alerts AS
SELECT
    collection,
    night,
    kind,
    title,
    sentence,
    happened,
    told,
    first_at,
    last_at,
    told_at,
    over_at,
    audience,
    alert_key
FROM alert_log;
