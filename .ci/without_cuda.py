"""Install torch and torchvision without CUDA where pip's index has both; do nothing where it has not."""

import re
import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def without_cuda(package: str) -> list[str]:
    """Versions of a package's wheels without CUDA, newest first."""
    listed = subprocess.run([*PIP, "index", "versions", package], capture_output=True, text=True).stdout
    return re.findall(r"[0-9.]+\+cpu", listed)


torch, vision = without_cuda("torch"), without_cuda("torchvision")
if torch and vision:  # only the two together work: torchvision's operators are built for one of torch's wheels
    subprocess.run([*PIP, "install", "--quiet", f"torch=={torch[0]}", f"torchvision=={vision[0]}"])
