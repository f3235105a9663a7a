"""Networks that change the generator's weights for an image; `load_hyperstyle` reads the published one."""

from methods.hypernetworks.official import OfficialHyperStyle, load_hyperstyle

__all__ = ["OfficialHyperStyle", "load_hyperstyle"]
