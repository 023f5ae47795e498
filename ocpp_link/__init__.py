"""A lightweight OCPP-J link: 1.6, 2.0.1 and 2.1 on one endpoint. Knows nothing of loadmgr.

Names are imported from their modules, so that this package costs nothing until a part of it is used:
``ocpp_link.transport`` (``serve``, ``connect``), ``ocpp_link.station``, ``ocpp_link.testing``, ``ocpp_link.protocol``.
"""
