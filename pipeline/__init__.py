"""One YAML file in, a fitted, checkpointed, reported mixture out."""
