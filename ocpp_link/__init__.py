"""A lightweight OCPP-J link: 1.6, 2.0.1 and 2.1 on one endpoint. Knows nothing of loadmgr.

Names are imported from their modules, so that this package costs nothing until a part of it is used. Begin with
``ocpp_link.transport`` (``serve``, ``connect``), ``ocpp_link.station`` and ``ocpp_link.testing``.

============================= =========================================================================================
what                          modules
============================= =========================================================================================
sockets, who may come in      transport, wire, handshake, door, limits, security, access_file, authority, renewal
the protocol, sans-I/O        protocol, frames, dialect, schemas, repair, repair_text, outbox, theirs, boot, events,
                              errors
a connection at work          link, link_handler, desk, inbox, begun, waiter, station, clock, answers
messages as Python values     message, v16, v201, v201_parts, v201_charging, v21, v21_parts, v21_charging
what meters say               meter, energy_scale, meter_setup, numbers, timestamps
what stations are like        capabilities, station_profile, profile_book, quirks
what was said                 wirelog, metrics
a Local Controller            proxy
stations to try it with       testing, testing_wire, testing_certificate
============================= =========================================================================================
"""
