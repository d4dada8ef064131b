-- What was measured and decided about each night. Everything per image stays in Parquet; only the
-- top anomalies are here. Booleans are INTEGER 0 or 1, times are TEXT in ISO 8601, UTC.

CREATE TABLE night_results (
    collection TEXT NOT NULL,
    night TEXT NOT NULL, -- YYYY-MM-DD
    images_url TEXT NOT NULL,
    images BIGINT NOT NULL,
    ignored BIGINT NOT NULL, -- files that are no images by the collection's pattern
    scored BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    anomalous BIGINT NOT NULL,
    anomaly_rate DOUBLE PRECISION, -- anomalous / scored; NULL when nothing was scored
    image_threshold DOUBLE PRECISION,
    false_alarm_rate DOUBLE PRECISION, -- what the image threshold aims at on good images
    num_neighbors INTEGER NOT NULL,
    decision TEXT NOT NULL, -- ok, watch, retrain or hold
    sentence TEXT NOT NULL,
    reasons TEXT NOT NULL, -- the texts of decision_reasons, one a line
    model_name TEXT NOT NULL,
    model_version TEXT NOT NULL,
    data_version TEXT NOT NULL, -- sha256 of the manifest
    baseline_source TEXT NOT NULL, -- nights, expected or learning
    baseline_nights INTEGER NOT NULL,
    baseline_scored BIGINT NOT NULL,
    baseline_anomalous BIGINT NOT NULL,
    baseline_anomaly_rate DOUBLE PRECISION,
    frozen_scored BIGINT NOT NULL, -- the first nights after the promotion
    frozen_anomalous BIGINT NOT NULL,
    separability DOUBLE PRECISION, -- embedding drift, 0 to 1; NULL when it was not measured
    separability_p_value DOUBLE PRECISION,
    baseline_separability DOUBLE PRECISION,
    embedding_num_reference BIGINT,
    embedding_num_night BIGINT,
    validation_passed INTEGER, -- NULL when the night was not validated
    validation_warnings INTEGER,
    report_url TEXT NOT NULL,
    result_sha256 TEXT NOT NULL, -- of the canonical JSON of the assessment
    published_at TEXT NOT NULL,
    PRIMARY KEY (collection, night)
);

CREATE TABLE decision_reasons (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    position INTEGER NOT NULL, -- from 1, in the order in which they are read
    code TEXT NOT NULL, -- anomaly_rate, drift:brightness, validation, ...
    verb TEXT NOT NULL,
    text TEXT NOT NULL,
    value DOUBLE PRECISION,
    baseline DOUBLE PRECISION,
    ratio DOUBLE PRECISION,
    p_value DOUBLE PRECISION,
    limit_value DOUBLE PRECISION,
    PRIMARY KEY (collection, night, position),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

CREATE TABLE statistic_drift (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    position INTEGER NOT NULL,
    statistic TEXT NOT NULL, -- brightness, contrast, ...
    psi DOUBLE PRECISION,
    p_value DOUBLE PRECISION,
    adjusted_p_value DOUBLE PRECISION, -- Holm, over the statistics of the night
    baseline_psi DOUBLE PRECISION,
    reference_median DOUBLE PRECISION,
    night_median DOUBLE PRECISION,
    PRIMARY KEY (collection, night, statistic),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

CREATE TABLE night_anomalies (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    rank INTEGER NOT NULL, -- 1 = the highest image score
    path TEXT NOT NULL, -- relative to images_url
    sha256 TEXT NOT NULL,
    image_score DOUBLE PRECISION,
    is_anomalous INTEGER NOT NULL,
    image_file TEXT NOT NULL, -- relative to the night's score folder, as anomaly_map_file
    anomaly_map_file TEXT NOT NULL,
    nearest_path TEXT, -- the most similar known-good image
    PRIMARY KEY (collection, night, rank),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

CREATE TABLE quarantine_counts (
    collection TEXT NOT NULL,
    night TEXT NOT NULL,
    reason TEXT NOT NULL,
    images BIGINT NOT NULL,
    PRIMARY KEY (collection, night, reason),
    FOREIGN KEY (collection, night) REFERENCES night_results (collection, night) ON DELETE CASCADE
);

CREATE INDEX night_results_by_night ON night_results (night);
CREATE INDEX night_anomalies_by_sha256 ON night_anomalies (sha256);
