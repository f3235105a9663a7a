"""Generators: StyleGAN2 in plain PyTorch and the one door to its weights."""

from methods.generators.readers import load_generator, save_generator
from methods.generators.stylegan2 import Generator, GeneratorConfig

__all__ = ["Generator", "GeneratorConfig", "load_generator", "save_generator"]
