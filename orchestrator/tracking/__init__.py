"""The view of a sweep in MLflow, built from the records and rebuilt from them when it is lost."""
