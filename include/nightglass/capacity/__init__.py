"""How long a night of a given size takes, what it costs and what limits it, from measured costs of each stage."""
