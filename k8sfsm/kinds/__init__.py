"""Facts and guards of the machines, one module per kind."""
