"""`python -m benchmarks`, for checkouts: the same as `inversion-bench`."""

import sys

from inversion_bench.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
