"""The demo: a static page in which the networks for digits run in the browser."""

from saccade.demo.build import write_demo

__all__ = ["write_demo"]
