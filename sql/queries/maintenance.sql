-- Who rewrites a collection's nights, and what was removed of them.

-- name: find_lease
SELECT holder, expires_at FROM maintenance_leases WHERE collection = :collection;

-- name: delete_lease
DELETE FROM maintenance_leases WHERE collection = :collection AND holder = :holder;

-- name: delete_expired_lease
DELETE FROM maintenance_leases WHERE collection = :collection AND expires_at <= :now;

-- name: insert_lease
INSERT INTO maintenance_leases (collection, holder, expires_at) VALUES (:collection, :holder, :expires_at);

-- name: extend_lease
UPDATE maintenance_leases SET expires_at = :expires_at WHERE collection = :collection AND holder = :holder;

-- name: insert_removal
INSERT INTO night_removals (collection, night, kind, after_days, removed_at)
SELECT :collection, :night, :kind, :after_days, :removed_at
WHERE
    EXISTS (SELECT 1 FROM night_results WHERE collection = :collection AND night = :night)
    AND NOT EXISTS (
        SELECT 1 FROM night_removals WHERE collection = :collection AND night = :night AND kind = :kind
    );

-- name: removals_of_night
SELECT kind, after_days, removed_at FROM night_removals WHERE collection = :collection AND night = :night;

-- name: removals
SELECT night, kind, after_days, removed_at FROM night_removals WHERE collection = :collection;

-- name: deletions_of_night
SELECT COALESCE(SUM(images), 0) AS images, COALESCE(SUM(scored), 0) AS scored
FROM night_deletions
WHERE collection = :collection AND night = :night;

-- name: scored_deletions
-- Of every night of a collection that lost a scored image, how many.
SELECT night, SUM(scored) AS scored FROM night_deletions WHERE collection = :collection GROUP BY night;

-- name: begin_night
INSERT INTO nights_in_work (collection, night, since) VALUES (:collection, :night, :since);

-- name: end_night
DELETE FROM nights_in_work WHERE collection = :collection AND night = :night;

-- name: night_in_work
SELECT since FROM nights_in_work WHERE collection = :collection AND night = :night AND since > :after;

-- name: delete_removal
DELETE FROM night_removals WHERE collection = :collection AND night = :night AND kind = :kind;
