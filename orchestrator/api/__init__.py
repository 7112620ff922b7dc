"""A Python call for each command about a sweep; `import orchestrator as fsl` has them all."""
