"""What the DAGs and plugins are built from: catalogues (data) and skufleet (code)."""
