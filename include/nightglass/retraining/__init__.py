"""From a night that asks for a new model to a better champion, or to a record of why there is none."""
