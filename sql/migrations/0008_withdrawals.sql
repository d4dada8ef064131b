-- Verdicts that were taken back by whoever gave them. Append-only: no query changes or deletes a row.
CREATE TABLE verdict_withdrawals (
    entry BIGINT NOT NULL PRIMARY KEY, -- counted together with those of verdict_log, in the order of recording
    withdrawn BIGINT NOT NULL UNIQUE REFERENCES verdict_log (entry), -- the verdict that does not count any more
    "at" TEXT NOT NULL, -- ISO 8601, UTC
    "by" TEXT NOT NULL CHECK ("by" <> ''),
    source TEXT NOT NULL CHECK (source <> '') -- page: what recorded it
);

-- Words on slices and nights are few among many words on images.
CREATE INDEX verdict_log_in_bulk ON verdict_log (collection, night) WHERE scope <> 'image';

-- The same view without what was taken back.
CREATE OR REPLACE VIEW verdicts AS
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
        l.*,
        ROW_NUMBER() OVER (PARTITION BY l.collection, l.subject ORDER BY l."at" DESC, l.entry DESC) AS place
    FROM verdict_log AS l
    WHERE NOT EXISTS (SELECT 1 FROM verdict_withdrawals AS w WHERE w.withdrawn = l.entry)
) AS ranked
WHERE place = 1
ORDER BY "at" DESC, entry DESC;
