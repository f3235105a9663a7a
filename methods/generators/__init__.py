"""Generators: StyleGAN2 in plain PyTorch, and `load_generator` for its weights."""

from typing import TYPE_CHECKING

from inversion_bench import lazy

if TYPE_CHECKING:
    from methods.generators.readers import load_generator, save_generator
    from methods.generators.stylegan2 import Generator, GeneratorConfig

__all__ = ["Generator", "GeneratorConfig", "load_generator", "save_generator"]
__getattr__, __dir__ = lazy.attach(
    __name__,
    {
        "Generator": "methods.generators.stylegan2:Generator",
        "GeneratorConfig": "methods.generators.stylegan2:GeneratorConfig",
        "load_generator": "methods.generators.readers:load_generator",
        "save_generator": "methods.generators.readers:save_generator",
    },
)
