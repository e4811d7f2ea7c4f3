"""Questions to the data: each file is one question and its answer."""
