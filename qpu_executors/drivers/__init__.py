"""The drivers that ship with CONQURE; each module imports its own SDK, so load them through `registry.driver`."""
