"""Workflows that ship with CONQURE: a user's programs, written with public names only."""
