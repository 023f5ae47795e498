"""WHAT A SITE IS: frozen values, with units in their names."""
