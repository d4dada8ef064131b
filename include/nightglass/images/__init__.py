"""Images in folders: listing, header facts, decoding, and why an image was left out."""
