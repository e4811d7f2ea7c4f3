"""Every exception and warning, each saying what came, what is needed and what to do.

The classes refine the builtin that a scikit-learn or NumPy user would catch. The exit codes of
the command line follow from the class (see ``pipeline.exits``).
"""

from __future__ import annotations


class GmmDaskError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(GmmDaskError, ValueError):
    """A setting is misspelt, misplaced or not allowed (exit 2)."""


class DataError(GmmDaskError, ValueError):
    """The data cannot be used as they are: not finite, wrong shape, missing chunk (exit 3)."""


class SourceChangedError(DataError):
    """A source did not return the same rows twice, or is not the one a checkpoint belongs to."""


class ResourceError(GmmDaskError, RuntimeError):
    """The cluster, the memory or the storage failed; repeating later may succeed (exit 4)."""


class PlanError(ResourceError, MemoryError):
    """A block cannot fit into a worker; raised before any row is read."""


class ClusterError(ResourceError):
    """Workers or the scheduler are missing, lost, or of other versions."""


class DeadlineError(ResourceError, TimeoutError):
    """A wait on the cluster ended without the awaited thing."""


class StoreError(ResourceError):
    """A checkpoint or model could not be written or read."""


class CheckpointError(StoreError):
    """No valid checkpoint, or one that belongs to another configuration or data set."""


class FormatError(GmmDaskError, ValueError):
    """A stored model, checkpoint or manifest is damaged, hostile or of a newer version."""


class DegenerateWarning(UserWarning):
    """A component is flat, empty or sits on duplicated rows."""


class DataWarning(UserWarning):
    """The data were usable, but not as the caller may believe."""


class PlatformWarning(UserWarning):
    """Results agree to rounding, not bit for bit: machines or software differ."""
