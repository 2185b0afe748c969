"""Seeds of weights: one draw, or one that was moved towards others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: what moves the weights away from the draw of their seed, and the values that leave them as they come
AS_DRAWN: Mapping[str, Any] = {"turns": (), "scale": 1.0, "evenness": 0.0}


@dataclass(frozen=True)
class MovedSeed:
    """Weights that are no single draw: one draw, turned towards others, evened out and scaled.

    Turning W by an angle t towards an independent draw G gives cos(t) W + sin(t) G, again standard normal. A seed
    alone has no neighbours; turned weights have, which is what a search climbs over. Evenness and a factor take them
    where hardly any draw lies and every draw may: neurons differ less in length than they tend to, and all are a little
    longer or shorter.

    Parameters
    ----------
    seed : int
        Entropy of the first draw, and of all that is not normal.
    turns : tuple of (float, int)
        Angles in radians, and the entropy of the draw that each turns towards, one after the other.
    scale : float
        What the result is multiplied by.
    evenness : float
        Between 0 and 1: the weights of each neuron, of length l in d dimensions, come to have the length
        l^(1 - evenness) d^(evenness/2), before the factor.
    """

    seed: int
    turns: tuple[tuple[float, int], ...] = ()
    scale: float = 1.0
    evenness: float = 0.0
