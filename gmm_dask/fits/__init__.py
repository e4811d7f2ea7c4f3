"""Frozen state machines that ask folds and are told sums: EM and its starts."""
