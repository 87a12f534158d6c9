"""Great Expectations: is a chunk's history fit to train on, row by row and SKU by SKU?

The only package that imports Great Expectations, and only when the first chunk is validated. It gets frames and gives
frames: reading S3, deciding what to do with a SKU that has no model, and models themselves do not belong here.
"""

from include.skufleet.quality.records import ExpectationResult, SkuStatus, SkuVerdict, Verdict, combine_expectations
from include.skufleet.quality.suites import export_suites
from include.skufleet.quality.validate import validate_chunk

__all__ = [
    "ExpectationResult",
    "SkuStatus",
    "SkuVerdict",
    "Verdict",
    "combine_expectations",
    "export_suites",
    "validate_chunk",
]
