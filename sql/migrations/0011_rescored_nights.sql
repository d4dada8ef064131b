-- Nights that another version scored again after they were decided, and what a night cost.
-- Neither touches what was decided: both belong to a published night and go when it is published anew.

CREATE TABLE rescored_night_results (
    collection TEXT NOT NULL,
    night TEXT NOT NULL, -- YYYY-MM-DD
    model_name TEXT NOT NULL, -- of the version that scored again
    model_version TEXT NOT NULL,
    champion_name TEXT NOT NULL, -- of the version that the night was decided with
    champion_version TEXT NOT NULL,
    data_version TEXT NOT NULL, -- sha256 of the manifest
    scored BIGINT NOT NULL, -- by both; the four counts add up to it
    both_anomalous BIGINT NOT NULL,
    only_champion BIGINT NOT NULL,
    only_rescored BIGINT NOT NULL,
    left_out BIGINT NOT NULL, -- scored at the time, and gone or of other content now
    agreement DOUBLE PRECISION, -- share of the images that both call alike; NULL when nothing was scored
    rank_correlation DOUBLE PRECISION, -- Spearman's, of the image scores; NULL where there is none
    top_k INTEGER NOT NULL, -- top anomalies of the night
    top_k_overlap INTEGER NOT NULL, -- how many of them are among as many of the version's
    champion_decision TEXT NOT NULL, -- ok, watch, retrain or hold
    decision TEXT NOT NULL, -- what it would have been
    sentence TEXT NOT NULL,
    compute_seconds DOUBLE PRECISION NOT NULL,
    folder_url TEXT NOT NULL,
    result_sha256 TEXT NOT NULL, -- of everything but published_at
    published_at TEXT NOT NULL,
    PRIMARY KEY (collection, night, model_name, model_version),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

CREATE TABLE night_costs (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    images BIGINT NOT NULL,
    compute_seconds DOUBLE PRECISION NOT NULL, -- that its tasks held a worker, from listing to the merged scores
    price_per_hour DOUBLE PRECISION, -- of what runs one task; NULL where no price was set
    currency TEXT NOT NULL,
    PRIMARY KEY (collection, night),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

-- One row a night and version that scored it again. Columns of both views are a contract: add at the end, never rename.
CREATE VIEW rescored_nights AS
SELECT
    collection,
    night,
    champion_version,
    model_version,
    scored,
    both_anomalous + only_champion AS champion_anomalous,
    both_anomalous + only_rescored AS anomalous,
    CASE WHEN scored > 0 THEN CAST(both_anomalous + only_champion AS DOUBLE PRECISION) / scored END AS champion_anomaly_rate,
    CASE WHEN scored > 0 THEN CAST(both_anomalous + only_rescored AS DOUBLE PRECISION) / scored END AS anomaly_rate,
    champion_decision,
    decision,
    sentence,
    agreement,
    rank_correlation,
    top_k,
    top_k_overlap,
    both_anomalous,
    only_champion,
    only_rescored,
    left_out,
    model_name,
    champion_name,
    data_version,
    compute_seconds,
    folder_url,
    published_at
FROM rescored_night_results;

-- One row a night whose compute time is known.
CREATE VIEW costs AS
SELECT
    collection,
    night,
    images,
    compute_seconds,
    price_per_hour,
    currency,
    compute_seconds / 3600.0 * price_per_hour AS cost,
    CASE WHEN images > 0 THEN compute_seconds * 1000.0 / images END AS compute_seconds_per_1000_images,
    CASE WHEN images > 0 THEN compute_seconds / 3600.0 * price_per_hour * 1000.0 / images END AS cost_per_1000_images
FROM night_costs;
