"""The tests that boot: a file is a table of cases, and a line of it a boot."""
