"""The exponential of eight numbers at once, without a branch."""

from __future__ import annotations

import math

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.values import BITS, VEC, Vec

# (e^r - 1 - r) / r^2 for |r| <= log(2) / 2, interpolated at the Chebyshev points: the relative
# error of the exponential is 1.6e-17 before rounding.
POLYNOMIAL = (
    0.5000000000000001,
    0.16666666666666669,
    0.04166666666662413,
    0.008333333333330062,
    0.0013888888917213717,
    0.00019841269863053618,
    2.4801521295954376e-05,
    2.7557268459997064e-06,
    2.7620088445409746e-07,
    2.510038549551032e-08,
)
LOG2_HIGH = 6.93147180369123816490e-01  # 33 bits: exact when multiplied by an exponent
LOG2_LOW = 1.90821492927058770002e-10
LOWEST = -709.0
ROUND = 1.5 * 2.0**52  # adding it rounds to an integer, which stands in the lowest bits


def exponential(code: Code, x: Vec) -> Vec:
    """Return exp(x) for x <= 0: within 1 unit in the last place, exactly 1 at 0.

    Results below 2^-1022.5 (arguments below about -708.7, and NaN) are exactly 0, so that far
    components bring no subnormal numbers, which are slow on some processors.

    References
    ----------
    Muller, J.-M. 2016, Elementary Functions, 3rd ed., section 11.2 (argument reduction of Cody
    and Waite).
    """
    x = code.maximum(x, code.const(LOWEST))
    shifted = code.fma(x, code.const(1 / math.log(2)), code.const(ROUND))
    whole = shifted - code.const(ROUND)
    r = code.fma(whole, code.const(-LOG2_HIGH), x)
    r = code.fma(whole, code.const(-LOG2_LOW), r)
    p = code.const(POLYNOMIAL[-1])
    for coefficient in (*POLYNOMIAL[-2::-1], 1.0, 1.0):
        p = code.fma(p, r, code.const(coefficient))
    return p * power_of_two(code, shifted)


def power_of_two(code: Code, shifted: Vec) -> Vec:
    """Return 2^n for the integer n >= -1023 in the lowest bits of `shifted`; 0 for -1023."""
    words = "<" + ", ".join(["i64 {0}"] * 8) + ">"
    bits = code.emit(f"bitcast {VEC} {shifted.name} to {BITS}")
    biased = code.emit(f"add {BITS} {bits}, {words.format(1023)}")
    exponent = code.emit(f"shl {BITS} {biased}, {words.format(52)}")
    return Vec(code, code.emit(f"bitcast {BITS} {exponent} to {VEC}"))
