"""Jinja templates of pages: our ways to write values, everything escaped, the fleet report's style sheet at hand."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from include.skufleet.fleet.report import words

if TYPE_CHECKING:
    from jinja2 import Template


@lru_cache(maxsize=4)
def load_template(folder: Path, name: str) -> Template:
    """A template of a folder; it may include what lies beside this module, ``page.css.j2`` for example."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: words.text(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    filters = (
        words.cut,
        words.percent,
        words.signed,
        words.number,
        words.ratio,
        words.duration,
        words.blank_numbers,
        words.say_late_rows,
    )
    environment.filters.update({function.__name__: function for function in filters})
    # Drawings are made by us and hold no text from outside.
    environment.filters["drawing"] = Markup
    return environment.get_template(name)
