"""Trying real stations out in the field."""
