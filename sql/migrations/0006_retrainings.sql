-- What came of each retraining, and the gates its challenger was held against.

CREATE TABLE retraining_results (
    collection TEXT NOT NULL,
    run TEXT NOT NULL, -- also the name of its folder
    model_name TEXT NOT NULL,
    champion_version TEXT NOT NULL, -- what the challenger was compared with
    challenger_version TEXT, -- NULL when none was registered
    data_version TEXT NOT NULL, -- sha256 of the training manifest
    started_at TEXT NOT NULL, -- ISO 8601, UTC, as finished_at
    finished_at TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('promoted', 'refused', 'rejected', 'dry_run')),
    sentence TEXT NOT NULL,
    failed_gates TEXT NOT NULL, -- the names of the gates that were not met, one a line
    folder_url TEXT NOT NULL,
    result_sha256 TEXT NOT NULL, -- of everything but finished_at
    PRIMARY KEY (collection, run)
);

CREATE TABLE retraining_gates (
    collection TEXT NOT NULL,
    run TEXT NOT NULL,
    position INTEGER NOT NULL, -- from 1, in the order in which they are read
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    champion DOUBLE PRECISION, -- measured; NULL where it was not
    challenger DOUBLE PRECISION,
    low DOUBLE PRECISION, -- low and high bound challenger minus champion
    high DOUBLE PRECISION,
    limit_value DOUBLE PRECISION,
    passed INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (collection, run, position),
    FOREIGN KEY (collection, run) REFERENCES retraining_results (collection, run) ON DELETE CASCADE
);

CREATE INDEX retraining_results_by_challenger ON retraining_results (model_name, challenger_version);

-- One row a retraining. Columns of both views are a contract: add at the end, never rename.
CREATE VIEW retrainings AS
SELECT
    r.collection,
    r.run,
    r.outcome,
    r.sentence,
    r.model_name,
    r.champion_version,
    r.challenger_version,
    r.started_at,
    r.finished_at,
    r.requested_by,
    r.reason,
    r.failed_gates,
    (
        SELECT COUNT(*)
        FROM retraining_gates AS g
        WHERE g.collection = r.collection AND g.run = r.run
    ) AS gates,
    r.data_version,
    r.folder_url
FROM retraining_results AS r;

-- One row a gate of a retraining.
CREATE VIEW gates AS
SELECT
    g.collection,
    g.run,
    g.position,
    g.name,
    g.title,
    g.champion,
    g.challenger,
    g.low,
    g.high,
    g.limit_value,
    g.passed,
    g.why,
    r.outcome,
    r.model_name,
    r.champion_version,
    r.challenger_version,
    r.finished_at
FROM retraining_gates AS g
INNER JOIN retraining_results AS r ON r.collection = g.collection AND r.run = g.run;
