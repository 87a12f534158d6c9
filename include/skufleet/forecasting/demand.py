"""What kind of demand a SKU has: smooth, erratic, intermittent or lumpy.

What does not belong here: what is made of it (which candidates are tried, how wide intervals are).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from include.skufleet.forecasting.panel import Floats, zero_unknown

DemandClass = Literal["smooth", "erratic", "intermittent", "lumpy", "no_demand"]

ADI_LIMIT = 1.32
CV2_LIMIT = 0.49


def classify_demand(units: Floats) -> DemandClass:
    """Smooth, erratic, intermittent or lumpy (Syntetos, Boylan, Croston 2005, JORS 56).

    ADI is the average interval between periods with sales, limit 1.32; CV2 the squared coefficient of variation of the
    sales sizes, limit 0.49. Both are pooled over the stores: known periods over periods with sales, and the stores'
    CV2 weighted by their sales periods. Periods before a store's first sale do not count.

    Args:
        units: (S, T), NaN where not known.

    >>> classify_demand(np.array([[5.0, 4.0, 6.0, 5.0]]))
    'smooth'
    >>> classify_demand(np.array([[3.0, 0.0, 0.0, 3.0, 0.0, 0.0]]))
    'intermittent'
    """
    sold = zero_unknown(units) > 0
    counts = sold.sum(axis=1)
    if not counts.any():
        return "no_demand"
    known = (~np.isnan(units) & np.maximum.accumulate(sold, axis=1)).sum()
    sizes = np.where(sold, units, 0.0)
    mean = sizes.sum(axis=1) / np.maximum(counts, 1)
    # Relative to the store's mean, so that huge units do not overflow when squared.
    deviation = np.where(sold, sizes / np.where(mean > 0, mean, 1.0)[:, None] - 1.0, 0.0)
    cv2 = np.square(deviation).sum() / counts.sum()
    often, steady = known / counts.sum() < ADI_LIMIT, cv2 < CV2_LIMIT
    if often:
        return "smooth" if steady else "erratic"
    return "intermittent" if steady else "lumpy"
