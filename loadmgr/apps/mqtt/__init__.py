"""A site on an MQTT broker."""
