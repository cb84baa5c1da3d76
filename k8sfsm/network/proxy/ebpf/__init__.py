"""The alternative to rules: maps that a program looks connections up in."""
