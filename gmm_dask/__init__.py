"""Gaussian mixtures for data that do not fit one machine."""

from __future__ import annotations

__version__ = "0.1.0"
