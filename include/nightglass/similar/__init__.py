"""Images of published nights: found by their content, and by what looks like them."""
