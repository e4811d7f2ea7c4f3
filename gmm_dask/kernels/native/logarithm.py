"""Logarithms in generated code, and the logarithm of a product without overflow."""

from __future__ import annotations

from typing import NamedTuple

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.real import DOUBLE
from gmm_dask.kernels.native.values import Vec

TERMS = 11
"""Of the series below: what is left out is below 2e-18 of the logarithm."""
ROOT_HALF = 0x3FE6A09E667F3BCD
"""The bits of sqrt(1/2)."""
ONE = 0x3FF0000000000000
FRACTION = 0x000FFFFFFFFFFFFF
INTEGER = 0x4330000000000000
"""The bits of 2^52: with a small integer in its lowest bits, 2^52 plus that integer."""
LOG2_HIGH = 6.93147180369123816490e-01
"""The leading bits of log(2), so few that products with an exponent are exact."""
LOG2_LOW = 1.90821492927058770002e-10


class Product(NamedTuple):
    """A product of positive numbers, as fractions in [1, 2) multiplied and exponents added."""

    fraction: Vec
    exponent: Vec
    """The sum of the exponents as they stand in the numbers, each with 1023 in excess."""


def words(value: int) -> str:
    """Return an integer in all lanes."""
    return "<" + ", ".join([f"i64 {value}"] * DOUBLE.lanes) + ">"


def to_bits(code: Code, x: Vec) -> str:
    """Return the bit patterns of numbers."""
    return code.emit(f"bitcast {DOUBLE.vec} {x.name} to {DOUBLE.words}")


def of_bits(code: Code, bits: str) -> Vec:
    """Return the numbers of bit patterns."""
    return Vec(code, code.emit(f"bitcast {DOUBLE.words} {bits} to {DOUBLE.vec}"), DOUBLE)


def integers(code: Code, operator: str, a: str, b: int | str) -> str:
    """Return what an operator makes of integers."""
    other = b if isinstance(b, str) else words(b)
    return code.emit(f"{operator} {DOUBLE.words} {a}, {other}")


def as_number(code: Code, integer: str) -> Vec:
    """Return integers from 0 to 2^52 - 1 as numbers."""
    return of_bits(code, integers(code, "or", integer, INTEGER)) - code.const(2.0**52)


def empty_product(code: Code) -> Product:
    """Return the product of nothing."""
    return Product(code.const(1.0), code.const(0.0))


def multiplied(code: Code, product: Product, x: Vec) -> Product:
    """Return a product with one more factor, positive and not subnormal; at most 1000."""
    bits = to_bits(code, x)
    fraction = integers(code, "or", integers(code, "and", bits, FRACTION), ONE)
    exponent = as_number(code, integers(code, "lshr", bits, 52))
    return Product(product.fraction * of_bits(code, fraction), product.exponent + exponent)


def log_product(code: Code, product: Product, factors: int) -> Vec:
    """Return the logarithm of a product of so many factors."""
    exponent = product.exponent - code.const(1023.0 * factors)
    return logarithm(code, product.fraction, exponent)


def logarithm(code: Code, x: Vec, exponent: Vec | None = None) -> Vec:
    """Return log(x) for x >= 1, or log(x 2^exponent): within 2 units in the last place.

    With x = 2^n m, m between sqrt(1/2) and sqrt(2), and s = (m - 1) / (m + 1), it is
    ``n log(2) + 2 (s + s^3 / 3 + s^5 / 5 + ...)``.

    References
    ----------
    Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 4.1.27.
    """
    bits = to_bits(code, x)
    whole = integers(code, "lshr", integers(code, "sub", bits, ROOT_HALF), 52)
    m = of_bits(code, integers(code, "sub", bits, integers(code, "shl", whole, 52)))
    n = as_number(code, whole)
    n = n if exponent is None else n + exponent
    one = code.const(1.0)
    s = (m - one) / (m + one)
    square = s * s
    series = code.const(2.0 / (2 * TERMS + 1))
    for term in range(TERMS - 1, 0, -1):
        series = code.fma(series, square, code.const(2.0 / (2 * term + 1)))
    small = code.fma(n, code.const(LOG2_LOW), series * square * s)
    return code.fma(n, code.const(LOG2_HIGH), small + (s + s))
