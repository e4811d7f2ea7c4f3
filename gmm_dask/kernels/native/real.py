"""The two kinds of real numbers that generated code computes with."""

from __future__ import annotations

import struct
from typing import NamedTuple

from gmm_dask.kernels.types import FARTHEST, LOG_PROB_MIN


class Real(NamedTuple):
    """A type of numbers and the vectors of it that fill a register of 512 bits."""

    name: str
    """LLVM's: double or float."""
    bits: int
    lanes: int
    farthest: float
    """Coordinates beyond this are drawn in, so that every sum of their squares is finite."""
    lowest: float
    """Logarithms of densities below this, and those that overflow on the way, are this."""
    lost: float
    """Rows whose highest log joint density, less the largest constant of any component, is not
    above this are left out and computed by other means."""

    @property
    def vec(self) -> str:
        """LLVM's type of a vector."""
        return f"<{self.lanes} x {self.name}>"

    @property
    def words(self) -> str:
        """LLVM's type of the bit patterns of a vector."""
        return f"<{self.lanes} x i{self.bits}>"

    @property
    def mask(self) -> str:
        """LLVM's type of a truth value for each lane."""
        return f"<{self.lanes} x i1>"

    @property
    def align(self) -> int:
        """Bytes of a number."""
        return self.bits // 8

    @property
    def fma(self) -> str:
        """Name of LLVM's function that multiplies and adds with one rounding."""
        return f"@llvm.fma.v{self.lanes}f{self.bits}"

    def text(self, value: float) -> str:
        """Return a number, rounded to this type, as LLVM writes constants of either type."""
        if self.bits == 32:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        return f"{self.name} 0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


DOUBLE = Real("double", 64, 8, FARTHEST, LOG_PROB_MIN, 0.5 * LOG_PROB_MIN)

# A row is left to float64 long before its squares overflow: at |log density| = 1024 (45 standard
# deviations) rounding its terms alone costs 6e-5 of a share.
SINGLE = Real("float", 32, 16, 1e17, -1e30, -1024.0)

REALS = {real.name: real for real in (DOUBLE, SINGLE)}
