"""Mutation score of the specs: take out or turn round every row in turn, and see whether a test notices.

One pytest session collects the tests and runs each once, noting which tables it asks and which rules hold (`coverage`).
Then the session forks for every mutant: the child reads the mutated file instead of the real one (`trial`), runs lint
and the tests that ask the mutated table, the likeliest and quickest first, and stops at the first failure.
"""
