"""The view of a sweep in MLflow: made from the records, made again from them whenever it is lost."""
