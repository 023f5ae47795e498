"""``loadmgr run``: the process that controls a site."""
