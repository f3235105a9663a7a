import sys

from benchmarks.cli import main
from benchmarks.engine.allocator import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(main())
