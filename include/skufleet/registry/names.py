"""The registered model's name of a SKU, and the way back.

``m5`` and ``FOODS 1/2`` give ``m5-FOODS~201~2F2``: the catalogue, a hyphen, and the SKU with every character outside
``A-Z a-z 0-9 _ -`` written as ``~XX``, one per UTF-8 byte. Nothing in such a name means anything to a URL, to a filter
string, to ``models:/name@alias`` or to MLflow's two sets of forbidden characters (``/ :`` for registered models,
``/ : . % ' "`` for logged ones, which carry the same name).
"""

from __future__ import annotations

import hashlib
import re

from include.skufleet.errors import PermanentError

MAX_LENGTH = 256  # the name column of MLflow's registry tables
LONGEST_FOLDER = 200  # file systems take 255
_ESCAPE = "~"
_CUT = "~~"  # cannot come from escaping, which puts two hexadecimal digits behind every ~
_HASH_DIGITS = 24
_PLAIN = re.compile(rb"[A-Za-z0-9_-]")
_CATALOGUE = re.compile(r"[a-z][a-z0-9_]*")


def registered_name(catalogue: str, sku: str) -> str:
    """The name of a SKU's registered model: the same on every machine, different for every catalogue and SKU.

    A name that would be longer than ``MAX_LENGTH`` is cut and ends in a hash of the whole; only the model's tag ``sku``
    leads back from it.

    Raises:
        PermanentError: the SKU is empty, or the catalogue's name is not one that a catalogue file allows.

    >>> registered_name("demo", "A-17/b")
    'demo-A-17~2Fb'
    """
    if not sku or not _CATALOGUE.fullmatch(catalogue):
        raise PermanentError(
            f"no model name for SKU {sku!r} of catalogue {catalogue!r}: expected a SKU that is not empty and a "
            "catalogue's name of lower-case letters, digits and _"
        )
    # surrogatepass: a SKU read from a broken file may hold half a character, and still needs a name of its own.
    raw = sku.encode("utf-8", "surrogatepass")
    full = f"{catalogue}-" + "".join(_escape(raw[i : i + 1]) for i in range(len(raw)))
    if len(full) <= MAX_LENGTH:
        return full
    digest = hashlib.sha256(full.encode("ascii")).hexdigest()[:_HASH_DIGITS]
    kept = full[: MAX_LENGTH - len(_CUT) - _HASH_DIGITS]
    return kept.rstrip(_ESCAPE) + _CUT + digest


def folder_name(name: str) -> str:
    """A registered model's name as a folder: at most ``LONGEST_FOLDER`` characters, for MLflow makes files of it."""
    if len(name) <= LONGEST_FOLDER:
        return name
    digest = hashlib.sha256(name.encode("ascii")).hexdigest()[:_HASH_DIGITS]
    return name[: LONGEST_FOLDER - _HASH_DIGITS] + digest


def catalogue_of(name: str) -> str:
    """The catalogue of a registered model's name, cut or not."""
    return name.partition("-")[0]


def catalogue_filter(catalogue: str) -> str:
    """MLflow's filter for the names of a catalogue: far cheaper for its database than one for the tag.

    ``_`` stands for any character there, so names of a like catalogue may be among what it finds: see ``catalogue_of``.
    """
    return f"name LIKE '{catalogue}-%'"


def sku_of(name: str) -> str:
    """The SKU whose registered model has this name.

    Raises:
        PermanentError: the name was cut, or is not one of ``registered_name``.
    """
    catalogue, _, escaped = name.partition("-")
    if _CUT in escaped:
        raise PermanentError(f"registered model {name!r}: the name was cut; its tag sku has the SKU")
    try:
        raw = re.sub(rb"~(..)", lambda found: bytes.fromhex(found[1].decode()), escaped.encode("ascii"))
        sku = raw.decode("utf-8", "surrogatepass")
        if registered_name(catalogue, sku) == name:
            return sku
    except (ValueError, PermanentError) as error:
        raise PermanentError(f"registered model {name!r} is not one of a SKU: {error}") from error
    raise PermanentError(f"registered model {name!r} is not one of a SKU: expected <catalogue>-<escaped SKU>")


def _escape(byte: bytes) -> str:
    return byte.decode("ascii") if _PLAIN.fullmatch(byte) else f"{_ESCAPE}{byte[0]:02X}"
