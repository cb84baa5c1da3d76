"""Feeds every reader of people's files with spoilt copies of good ones: each is read, or refused in one line."""
