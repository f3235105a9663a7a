"""Frame and domain: how images are cut and what they show, in the same words for generators, sets and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FFHQ, TIGHT, WHOLE = "ffhq", "tight", "none"
FRAMES = (FFHQ, TIGHT, WHOLE)
FACES = "faces"


@dataclass(frozen=True)
class Scope:
    """What is declared of images, or of those that a generator makes. "": not declared.

    Args:
        frame: ffhq (FFHQ's alignment), tight (that of the bundled 64 px faces), or none (whole images, not aligned).
        domain: what the images show: faces, cars, cats, churches, ...

    Raises:
        ValueError: there is no such frame.
    """

    frame: str = ""
    domain: str = ""

    def __post_init__(self) -> None:
        if self.frame and self.frame not in FRAMES:
            raise ValueError(f"frame is {self.frame!r}, expected one of {', '.join(FRAMES)}")

    def over(self, other: Scope) -> Scope:
        """This scope; what it does not declare is the other's."""
        return Scope(self.frame or other.frame, self.domain or other.domain)

    def differs(self, other: Scope) -> str:
        """In what two scopes differ, in words; "" where they do not, or where one of them declares nothing."""
        pairs = (("frame", self.frame, other.frame), ("domain", self.domain, other.domain))
        return ", ".join(f"{what} {a}, not {b}" for what, a, b in pairs if a and b and a != b)

    def excluded_by(self, frames: Sequence[str], domains: Sequence[str]) -> str:
        """Why what holds in some frames and domains only (empty: in all) does not hold here; "" where it does."""
        for what, own, held in (("frame", self.frame, frames), ("domain", self.domain, domains)):
            if held and own and own not in held:
                return f"defined for {what} {' or '.join(held)}; the images are in {what} {own}"
        return ""

    def __str__(self) -> str:
        return f"frame {self.frame or 'not declared'}, domain {self.domain or 'not declared'}"


NOT_DECLARED = Scope()
ALIGNED_FACES, TIGHT_FACES = Scope(FFHQ, FACES), Scope(TIGHT, FACES)
