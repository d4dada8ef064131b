-- What was deleted on request or removed as too old, and who works on a collection's nights meanwhile.

-- Who asked for what to be deleted, and what went: never the content itself, nor where it lay.
CREATE TABLE deletion_log (
    request TEXT NOT NULL PRIMARY KEY, -- sha256 of collection, content, and whether the original goes too
    collection TEXT NOT NULL,
    asked_at TEXT NOT NULL, -- ISO 8601, UTC, as finished_at
    "by" TEXT NOT NULL CHECK ("by" <> ''),
    reason TEXT NOT NULL CHECK (reason <> ''),
    is_original_deleted INTEGER NOT NULL,
    finished_at TEXT, -- NULL while something is left to do
    nights TEXT NOT NULL, -- where it was, one a line
    models TEXT NOT NULL, -- versions that were fitted on it, one a line
    removed TEXT NOT NULL -- what was removed and how much of it, one a line
);

-- What no listing takes up again. Of what could not be read, which has no content, the place is known by its sha256.
CREATE TABLE deleted_contents (
    collection TEXT NOT NULL,
    digest TEXT NOT NULL CHECK (LENGTH(digest) = 64), -- of the content, or of "night/path"
    request TEXT NOT NULL REFERENCES deletion_log (request),
    PRIMARY KEY (collection, digest)
);

-- By how many images a night has fewer than it was decided on; a night that is scored anew has none of these rows.
CREATE TABLE night_deletions (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES deletion_log (request),
    images BIGINT NOT NULL, -- scored and quarantined ones
    scored BIGINT NOT NULL,
    PRIMARY KEY (collection, night, request),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

-- What retention removed of a night; a night that is scored anew has it again.
CREATE TABLE night_removals (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('pictures', 'embeddings', 'scores')),
    after_days INTEGER NOT NULL, -- what the collection's file said
    removed_at TEXT NOT NULL, -- ISO 8601, UTC
    PRIMARY KEY (collection, night, kind),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

-- Who rewrites files of a collection's nights; meanwhile no night is begun, and nobody else rewrites any.
CREATE TABLE maintenance_leases (
    collection TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_at TEXT NOT NULL -- ISO 8601, UTC
);

-- Nights that a run lists, scores or publishes; one that was given up leaves its row behind.
CREATE TABLE nights_in_work (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    since TEXT NOT NULL, -- ISO 8601, UTC
    PRIMARY KEY (collection, night)
);

CREATE OR REPLACE VIEW nights AS
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
    published_at,
    (
        SELECT COALESCE(SUM(d.images), 0)
        FROM night_deletions AS d
        WHERE d.collection = night_results.collection AND d.night = night_results.night
    ) AS deleted
FROM night_results;

-- One row a request. Its columns are a contract: add at the end, never rename.
CREATE VIEW deletions AS
SELECT
    collection,
    asked_at,
    "by",
    reason,
    is_original_deleted,
    finished_at,
    nights,
    models,
    removed,
    request
FROM deletion_log;
