-- Every word that people ever gave on images. Append-only: no query changes or deletes a row.
CREATE TABLE verdict_log (
    entry BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3, ... in the order in which they were recorded
    collection TEXT NOT NULL CHECK (collection <> ''),
    night TEXT NOT NULL CHECK (night LIKE '____-__-__'), -- where it was seen; a verdict on an image holds in all nights
    scope TEXT NOT NULL CHECK (scope IN ('image', 'slice', 'night')),
    path TEXT CHECK (path <> ''), -- of an image: where it was seen
    sha256 TEXT CHECK (LENGTH(sha256) = 64), -- of an image: its content, which the verdict is on
    slice TEXT CHECK (slice <> ''), -- such as camera=left
    verdict TEXT NOT NULL CHECK (verdict IN ('defect', 'normal', 'unsure')),
    "at" TEXT NOT NULL, -- ISO 8601, UTC; an imported verdict may be older than its entry
    "by" TEXT NOT NULL CHECK ("by" <> ''),
    note TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source <> ''), -- cli, import, page: what recorded it
    -- What the verdict is on: later verdicts on the same subject of a collection take its place.
    subject TEXT NOT NULL GENERATED ALWAYS AS (
        CASE scope WHEN 'image' THEN sha256 WHEN 'slice' THEN night || ' ' || slice ELSE night END
    ) STORED,
    CHECK ((scope = 'image') = (path IS NOT NULL)),
    CHECK ((scope = 'image') = (sha256 IS NOT NULL)),
    CHECK ((scope = 'slice') = (slice IS NOT NULL))
);

CREATE INDEX verdict_log_by_subject ON verdict_log (collection, subject, "at", entry);
CREATE INDEX verdict_log_by_time ON verdict_log (collection, "at");
CREATE INDEX verdict_log_by_night ON verdict_log (collection, night);

-- The verdicts in effect, newest first: of each image's content, each slice of a night and each night the latest.
CREATE VIEW verdicts AS
SELECT
    collection,
    night,
    scope,
    path,
    slice,
    verdict,
    "at",
    "by",
    note,
    source,
    sha256,
    entry
FROM (
    SELECT
        *,
        ROW_NUMBER() OVER (PARTITION BY collection, subject ORDER BY "at" DESC, entry DESC) AS place
    FROM verdict_log
) AS ranked
WHERE place = 1
ORDER BY "at" DESC, entry DESC;
