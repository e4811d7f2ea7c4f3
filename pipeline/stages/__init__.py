"""The steps of a run, each a function from named inputs to named outputs."""
