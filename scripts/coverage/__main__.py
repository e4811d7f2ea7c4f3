"""Coverage of 95 % intervals: ``python -m scripts.coverage full --sets 1000``.

Prints, for each method and kind of parameter, the smallest, mean and largest coverage in per cent.
"""

from __future__ import annotations

import argparse
import warnings

from scripts.coverage.study import CASES, coverage

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("case", choices=CASES)
parser.add_argument("--sets", type=int, default=1000)
parser.add_argument("--rows", type=int, default=5000)
parser.add_argument("--seed", type=int, default=0, help="of the first set; the others follow")
words = parser.parse_args()
warnings.simplefilter("ignore")
shares, used = coverage(words.case, words.sets, words.rows, words.seed)
print(f"{words.case}: {used} of {words.sets} sets of {words.rows} rows have standard errors")
for method, kinds in shares.items():
    for kind, share in kinds.items():
        if share.size:
            low, mean, high = (100 * x for x in (share.min(), share.mean(), share.max()))
            print(f"{method:9} {kind:13} {low:6.1f} {mean:6.1f} {high:6.1f}")
