"""What must hold when nobody controls: envelopes, assumptions, fail-safes, certificate and escalation."""
