"""What stands around Nightglass in production: docker-compose.yaml and its services."""
