"""Between stations and an existing CSMS."""
