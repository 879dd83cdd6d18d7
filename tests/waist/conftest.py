"""A vendor's cloud in a process of its own, and its driver."""

from .vendor import vendor_without_a_past, vendors_service

__all__ = ["vendor_without_a_past", "vendors_service"]
