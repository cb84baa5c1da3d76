"""Stories: a cluster, what the user does, what goes wrong, and what must come of it."""
