"""``loadmgr demo``."""
