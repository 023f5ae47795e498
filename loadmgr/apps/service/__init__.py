"""The HTTP service: schedules for a CSMS that posts a site, and sites under control for those who want that."""
