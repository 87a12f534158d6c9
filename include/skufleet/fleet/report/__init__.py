"""The fleet report: one self-contained HTML page, and a short Markdown summary.

Frames and a small record come in, text goes out. Reading S3 or MLflow, and deciding anything, do not belong here.
"""

from include.skufleet.fleet.report.data import ReportData
from include.skufleet.fleet.report.markdown import render_markdown
from include.skufleet.fleet.report.page import render_html
from include.skufleet.fleet.report.pick import pick_skus

__all__ = ["ReportData", "pick_skus", "render_html", "render_markdown"]
