-- Challengers that score nights beside the champion before they may take its place.

CREATE TABLE shadows (
    collection TEXT NOT NULL,
    run TEXT NOT NULL, -- of the retraining
    model_name TEXT NOT NULL,
    champion_version TEXT NOT NULL,
    challenger_version TEXT NOT NULL,
    challenger_fingerprint TEXT NOT NULL,
    nights_wanted INTEGER NOT NULL,
    max_days DOUBLE PRECISION NOT NULL,
    after_night TEXT NOT NULL, -- only later nights count: images of earlier ones may have fitted the challenger
    began_at TEXT NOT NULL, -- ISO 8601, UTC, as ended_at
    ended_at TEXT, -- NULL while it goes on; then its nights do not change any more
    ending TEXT CHECK (ending IN ('seen', 'expired', 'promoted', 'champion_changed', 'superseded', 'given_up')),
    sentence TEXT,
    PRIMARY KEY (collection, run),
    CHECK ((ended_at IS NULL) = (ending IS NULL)),
    CHECK ((ended_at IS NULL) = (sentence IS NULL))
);

-- Two challengers cannot shadow one collection at a time.
CREATE UNIQUE INDEX one_active_shadow ON shadows (collection) WHERE ended_at IS NULL;

CREATE TABLE shadow_night_results (
    collection TEXT NOT NULL,
    run TEXT NOT NULL,
    night TEXT NOT NULL, -- YYYY-MM-DD
    data_version TEXT NOT NULL, -- sha256 of the manifest
    scored BIGINT NOT NULL, -- by both; the four counts add up to it
    both_anomalous BIGINT NOT NULL,
    only_champion BIGINT NOT NULL,
    only_challenger BIGINT NOT NULL,
    agreement DOUBLE PRECISION, -- share of the images that both call alike; NULL when nothing was scored
    rank_correlation DOUBLE PRECISION, -- Spearman's, of the image scores; NULL where there is none
    champion_decision TEXT NOT NULL, -- ok, watch, retrain or hold
    decision TEXT NOT NULL, -- what it would have been with the challenger
    sentence TEXT NOT NULL,
    report_url TEXT NOT NULL,
    result_sha256 TEXT NOT NULL, -- of everything but published_at
    published_at TEXT NOT NULL,
    PRIMARY KEY (collection, run, night),
    FOREIGN KEY (collection, run) REFERENCES shadows (collection, run) ON DELETE CASCADE
);

-- One row a shadow and night. Its columns are a contract: add at the end, never rename.
CREATE VIEW shadow_nights AS
SELECT
    n.collection,
    n.night,
    s.champion_version,
    s.challenger_version,
    n.scored,
    n.both_anomalous + n.only_champion AS champion_anomalous,
    n.both_anomalous + n.only_challenger AS challenger_anomalous,
    n.both_anomalous,
    n.only_champion,
    n.only_challenger,
    n.agreement,
    n.rank_correlation,
    n.champion_decision,
    n.decision,
    n.sentence,
    s.model_name,
    n.data_version,
    n.run,
    s.began_at,
    s.ended_at,
    s.ending,
    n.report_url,
    n.published_at
FROM shadow_night_results AS n
INNER JOIN shadows AS s ON s.collection = n.collection AND s.run = n.run;
