"""Exit codes, and which error leads to which.

0 finished; 1 an unexpected fault; 2 configuration; 3 data; 4 cluster, memory or storage: repeating
later may succeed; 5 the chosen fit did not converge, its model is written; 130 and 143 interrupted
and terminated, resumable; 6 an alarm that was asked for (``diagnose --fail-on``).
"""

from __future__ import annotations

import errno

from gmm_dask import CheckpointError, ConfigError, DataError, FormatError, ResourceError

FINISHED, FAULT, CONFIG, DATA, RESOURCE, NOT_CONVERGED = 0, 1, 2, 3, 4, 5
ALARM = 6
INTERRUPTED, TERMINATED = 130, 143
# Disk full, quota, read-only, device or network file system gone, too many open files.
MACHINE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EMFILE),
    *(errno.ENFILE, errno.ENOLCK, errno.EBUSY, errno.ENETUNREACH, errno.EHOSTUNREACH),
)


class Terminated(BaseException):
    """SIGTERM arrived: leave at once, without waiting for the pass."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error."""
    if isinstance(error, Terminated):
        return TERMINATED
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, CheckpointError):
        hopeless = ("belongs to another", "resume is required")  # repeating will not help
        return CONFIG if any(words in str(error) for words in hopeless) else RESOURCE
    if isinstance(error, DataError | FormatError):
        return DATA
    if isinstance(error, ConfigError) or _is_a_name(error):
        return CONFIG
    if isinstance(error, ResourceError | MemoryError) or _is_machine(error):
        return RESOURCE
    return FAULT


def _is_a_name(error: BaseException) -> bool:
    """Return whether a path that a user gave is one that no file system can have."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


def _is_machine(error: BaseException) -> bool:
    """Return whether the disk, the network or a permission is at fault, and not the program."""
    if isinstance(error, PermissionError | ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in MACHINE
