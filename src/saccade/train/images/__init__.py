"""Instruments that measure and show generated images."""
