"""What bits rest on, complete: the platform, and the processor as the kernels see it."""

from __future__ import annotations

from gmm_dask.engine.platform import Facts, platform_facts
from gmm_dask.kernels.compile import processor

# Bits of a register, by the feature that brings it, the widest first.
WIDTHS = (("+avx512f", 512), ("+avx", 256))
SMALLEST = 128


def machine_facts() -> Facts:
    """Return all that bits of a result rest on in this process, besides data and settings.

    The kernels are compiled for the family of the processor, with loops as wide as its registers;
    sums that are cut in another way end in other bits.

    Returns
    -------
    dict of str
        ``python``, ``gmm_dask``, versions of packages, digests of the own code, ``CPU`` (its
        model), ``processor`` (its family, by LLVM's name), ``vectors`` (bits of a register) and
        ``BLAS``.
    """
    family, features = processor()
    return {**platform_facts(), "processor": family, "vectors": f"{vector_bits(features)} bits"}


def vector_bits(features: str) -> int:
    """Return the bits of the widest register, from LLVM's list of features."""
    has = features.split(",")
    return next((bits for feature, bits in WIDTHS if feature in has), SMALLEST)
