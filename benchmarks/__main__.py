import sys

from benchmarks.allocator import keep_freed_memory
from benchmarks.cli import main

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
