"""The version of this package, for the metadata of the build, manifests and workers."""

__version__ = "0.1.0"
