"""What holds for all tests."""

from benchmarks.allocator import keep_freed_memory

keep_freed_memory()  # as the commands do: the large networks of the parity tests spend less time in the kernel
