"""Ways into an existing CSMS: adapters between what it speaks and the ways to stations that a site's process knows."""
