"""The exponential of a vector of numbers, without a branch."""

from __future__ import annotations

import math
from typing import NamedTuple

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.values import Vec


class Constants(NamedTuple):
    """What the exponential of one type of numbers is made of."""

    polynomial: tuple[float, ...]
    """(e^r - 1 - r) / r^2 for |r| <= log(2) / 2, interpolated at the Chebyshev points."""
    log2_high: float
    """The leading bits of log(2), so few that products with an exponent are exact."""
    log2_low: float
    lowest: float
    """Its exponential is 0, and of all below it."""
    round: float
    """Adding it rounds to an integer, which stands in the lowest bits."""
    bias: int
    """Of the exponent in a number."""
    fraction: int
    """Bits behind the exponent."""


EXPONENTIAL = {
    # relative error 1.6e-17 before rounding
    "double": Constants(
        polynomial=(
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
        ),
        log2_high=6.93147180369123816490e-01,
        log2_low=1.90821492927058770002e-10,
        lowest=-709.0,
        round=1.5 * 2.0**52,
        bias=1023,
        fraction=52,
    ),
    # relative error 9.7e-9 before rounding
    "float": Constants(
        polynomial=(
            0.5,
            0.16666577756404877,
            0.041666556149721146,
            0.008363173343241215,
            0.0013926175888627768,
        ),
        log2_high=0.693145751953125,
        log2_low=1.4286068202862268e-06,
        lowest=-88.0,
        round=1.5 * 2.0**23,
        bias=127,
        fraction=23,
    ),
}


def exponential(code: Code, x: Vec) -> Vec:
    """Return exp(x) for x <= 0, exactly 1 at 0.

    Within 1 unit in the last place (float32: 1.5). Results below 2^-1022.5, or 2^-126.5 (arguments
    below about -708.7 or -87.7, and NaN) are exactly 0, so that far components bring no subnormal
    numbers, which are slow on some processors.

    References
    ----------
    Muller, J.-M. 2016, Elementary Functions, 3rd ed., section 11.2 (argument reduction of Cody
    and Waite).
    """
    of = EXPONENTIAL[x.real.name]
    x = code.maximum(x, code.const(of.lowest))
    shifted = code.fma(x, code.const(1 / math.log(2)), code.const(of.round))
    whole = shifted - code.const(of.round)
    r = code.fma(whole, code.const(-of.log2_high), x)
    r = code.fma(whole, code.const(-of.log2_low), r)
    p = code.const(of.polynomial[-1])
    for coefficient in (*of.polynomial[-2::-1], 1.0, 1.0):
        p = code.fma(p, r, code.const(coefficient))
    return p * power_of_two(code, shifted, of)


def power_of_two(code: Code, shifted: Vec, of: Constants) -> Vec:
    """Return 2^n for the integer n >= -bias in the lowest bits of `shifted`; 0 for -bias."""
    real = shifted.real
    words = "<" + ", ".join([f"i{real.bits} {{0}}"] * real.lanes) + ">"
    bits = code.emit(f"bitcast {real.vec} {shifted.name} to {real.words}")
    biased = code.emit(f"add {real.words} {bits}, {words.format(of.bias)}")
    exponent = code.emit(f"shl {real.words} {biased}, {words.format(of.fraction)}")
    return Vec(code, code.emit(f"bitcast {real.words} {exponent} to {real.vec}"), real)
