-- Who made which version the champion, when and why. Append-only: no query changes or deletes a row.
CREATE TABLE promotion_log (
    entry BIGINT NOT NULL PRIMARY KEY, -- 1, 2, 3, ... in the order in which they happened
    collection TEXT NOT NULL,
    model_name TEXT NOT NULL,
    event TEXT NOT NULL CHECK (event IN ('promoted', 'rolled_back')),
    version TEXT NOT NULL, -- the champion from here on
    previous_version TEXT, -- NULL for a model's first champion
    "at" TEXT NOT NULL, -- ISO 8601, UTC
    "by" TEXT NOT NULL,
    reason TEXT NOT NULL,
    run TEXT -- the Airflow or MLflow run that did it
);

CREATE INDEX promotion_log_by_model ON promotion_log (model_name, entry);
