"""``loadmgr plan``: a day planned and shown."""
