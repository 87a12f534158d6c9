"""Every error that Skufleet raises on purpose, by what the caller can do about it.

::

    SkufleetError
    ├── PermanentError            trying again cannot help: no retry
    │   ├── ConfigError           a setting or an environment variable is wrong
    │   │   └── CatalogueError    a catalogue file is wrong: names the file, the key and the reason
    │   ├── DataError             what was delivered cannot be used
    │   │   ├── LandingError      the landing holds nothing to read, or not what the catalogue file describes
    │   │   └── DropError         one drop cannot be read: it is set aside, the others go on
    │   ├── PlanError             what was asked for selects nothing or cannot be planned
    │   └── ArtifactError         a model's artifact is not what its format says
    ├── TransientError            the same call may succeed later: retried with backoff
    │   └── ServiceUnavailableError  S3, MLflow or the database did not answer
    └── LocalStackError           the embedded stack cannot start or stop: says what to do

A gate that says no, a SKU without enough history and a quarantined row are results, not errors.
Every message says what, where (file, SKU or object), what was got, what was expected, and what to do.
"""


class SkufleetError(Exception):
    """Root of every error that Skufleet raises on purpose."""


class PermanentError(SkufleetError):
    """Trying again with the same input cannot help."""


class ConfigError(PermanentError):
    """A setting or an environment variable is wrong."""


class CatalogueError(ConfigError):
    """A catalogue file is wrong; the message names the file, the key and the reason."""


class DataError(PermanentError):
    """What was delivered cannot be used."""


class LandingError(DataError):
    """The landing holds nothing to read, or not what the catalogue file describes."""


class DropError(DataError):
    """One drop cannot be read; it is set aside with this reason and the other drops go on."""


class PlanError(PermanentError):
    """What was asked for selects nothing, or cannot be planned."""


class ArtifactError(PermanentError):
    """A model's artifact is not what its format says."""


class TransientError(SkufleetError):
    """The same call may succeed later; tasks retry it with backoff."""


class ServiceUnavailableError(TransientError):
    """S3, MLflow or the database did not answer, or answered that it is overloaded."""


class LocalStackError(SkufleetError):
    """The embedded stack cannot start or stop; the message says what to do."""
