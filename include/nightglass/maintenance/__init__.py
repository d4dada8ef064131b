"""What keeps a Nightglass going for years: backups, retention, compaction, and deleting an image on request."""
