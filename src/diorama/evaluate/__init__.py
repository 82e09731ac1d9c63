"""The benchmark: methods over sequences with truth, one table, with the papers' own numbers beside."""
