"""The peer's calls on one connection: which wait for their answer, and what the last ones were answered.

Inbound ids are remembered per connection only: real stations repeat their ids after every reboot. They have one call in
flight, so a repetition follows at once or never.
"""

REMEMBERED_IDS = 32


class TheirCalls:
    """Calls of the peer by message id."""

    __slots__ = ("_answered", "_in_progress")

    def __init__(self) -> None:
        self._in_progress: dict[str, tuple[str, int]] = {}  # action and fingerprint
        self._answered: dict[str, tuple[str, int, bytes]] = {}  # the same and the answer; oldest first, bounded

    def is_new(self, message_id: str) -> bool:
        """Tell whether no call with this id waits or was lately answered: the quick question of the hot path."""
        return message_id not in self._in_progress and message_id not in self._answered

    def begin(self, message_id: str, action: str, fingerprint: int) -> None:
        """Take note of a call that will be answered."""
        self._in_progress[message_id] = (action, fingerprint)

    def in_progress(self, message_id: str) -> bool:
        """Tell whether a call waits for its answer."""
        return message_id in self._in_progress

    def repeated_answer(self, message_id: str, fingerprint: int) -> bytes | None:
        """Return the answer that the same call (id and content) got before; an id used anew for another call is new."""
        known = self._answered.get(message_id)
        return known[2] if known is not None and known[1] == fingerprint else None

    def waiting_action(self, message_id: str) -> str | None:
        """Return the action of a call that waits for its answer."""
        known = self._in_progress.get(message_id)
        return known[0] if known is not None else None

    def action(self, message_id: str) -> str | None:
        """Return the action of a call that waits or was lately answered."""
        known = self._in_progress.get(message_id) or self._answered.get(message_id)
        return known[0] if known is not None else None

    def answered(self, message_id: str, text: bytes) -> bytes:
        """Remember the answer to a call, so that a repetition gets the same, and return it."""
        call = self._in_progress.pop(message_id, None)
        if call is None:
            return text
        self._answered.pop(message_id, None)
        self._answered[message_id] = (*call, text)
        if len(self._answered) > REMEMBERED_IDS:
            del self._answered[next(iter(self._answered))]
        return text

    def __len__(self) -> int:
        return len(self._in_progress) + len(self._answered)
