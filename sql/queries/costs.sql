-- What nights cost.

-- name: find_cost
SELECT images, compute_seconds, price_per_hour, currency
FROM night_costs
WHERE collection = :collection AND night = :night;

-- name: insert_cost
INSERT INTO night_costs (collection, night, images, compute_seconds, price_per_hour, currency)
VALUES (:collection, :night, :images, :compute_seconds, :price_per_hour, :currency);
