"""What holds for all tests."""

from hypothesis import settings

from benchmarks.allocator import keep_freed_memory

keep_freed_memory()  # as the commands do: the large networks of the parity tests spend less time in the kernel

# A busy machine must not fail a property.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
