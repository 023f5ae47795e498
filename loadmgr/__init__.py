"""Smart-charging load management for sites with many EVSEs behind one grid connection."""

__version__ = "0.1.0"
