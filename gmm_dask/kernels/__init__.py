"""Pure array functions: the plain oracle, the fast rows, and the table that selects."""
