"""Kinds of components; each handles all K of a mixture at once."""
