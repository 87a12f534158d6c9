"""MLflow's public client, without its reads of what this process has just read.

Before each tag and each alias, MLflow's client reads the registered model to see that it is not a prompt: half of all
requests of a registration, and more of a promotion. Whether a model is a prompt does not change, so one answer will do,
and a search or a creation has brought it already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient


def make_client(uri: str) -> MlflowClient:
    """A client for tracking and registry at one URI; safe to share between threads.

    Its ``get_registered_model`` answers with what was first read: good for what never changes, not for aliases.
    """
    import mlflow  # 3 s: not before something is asked of MLflow

    class RememberingClient(mlflow.MlflowClient):  # type: ignore[misc]  # MLflow is untyped to us
        """Remembers every registered model that it has seen."""

        def __init__(self) -> None:
            super().__init__(tracking_uri=uri, registry_uri=uri)
            self._seen: dict[str, Any] = {}

        def get_registered_model(self, name: str) -> Any:
            if name not in self._seen:
                self._seen[name] = super().get_registered_model(name)
            return self._seen[name]

        def create_registered_model(self, *arguments: Any, **named: Any) -> Any:
            made = super().create_registered_model(*arguments, **named)
            self._seen[made.name] = made
            return made

        def search_registered_models(self, *arguments: Any, **named: Any) -> Any:
            page = super().search_registered_models(*arguments, **named)
            self._seen |= {model.name: model for model in page}
            return page

    return RememberingClient()
