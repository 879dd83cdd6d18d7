"""A package, so that a worker process can import a function that a test hands it, as `tests.<module>.<function>`."""
