"""The peers: each in an environment of its own, run by a small script as its own documentation runs it."""
