"""A Local Controller: stations below, an existing CSMS above, and whoever controls in between.

server      `serve_proxy`: stations dial in, and each is dialled through to the CSMS
door        the newest connection of a station wins
relay       `RelayedStation`: what passes between the two, and calls of our own
hop, side   one direction's calls in flight; one socket
judge       the interceptor as the relay asks it, and what becomes of a call
guard       calls that must not pass unread, in whatever disguise
interceptor what the relay asks of whoever decides, and of whoever stands in for a lost CSMS
profiles    `ProfileGuard`: the CSMS's charging profiles, held or let through
keeper      the plain keeper of those
settings    settings that a CSMS must not change
sticky      `Sticky`: stations are served on while the CSMS is lost
queue       what it has to be told then, on disk
"""
