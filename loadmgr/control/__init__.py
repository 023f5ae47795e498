"""WHAT TO DO NOW: the site controller, a state machine over observations."""
