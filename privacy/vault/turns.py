"""What a process remembers of the vault, and how it learns that some of it was destroyed.

Every batch reads one row first: the turn. Only while it is the one that is remembered are
remembered keys used; so no process uses a key after its destruction was committed.
"""

from collections.abc import Collection
from threading import Lock

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.logging import log
from privacy.vault import store
from privacy.vault.cache import BoundedCache
from privacy.vault.destruction import finish_destructions, keep_extent
from privacy.vault.owner import Owner
from privacy.vault.reading import TurnReader
from privacy.vault.register import Register, Tombstone
from privacy.vault.sealing import DataKey
from privacy.vault.store import Turn

TokenKey = tuple[bytes, str]
"""The digest of a value in its scope, and whose it is."""


class Memory:
    """Open keys and known tokens, true as of a turn. Safe to share between threads."""

    def __init__(
        self, keys: BoundedCache[Owner, DataKey], tokens: BoundedCache[TokenKey, str]
    ) -> None:
        self.keys = keys
        self.tokens = tokens
        self._turn: Turn | None = None
        self._guard = Lock()

    @property
    def turn(self) -> Turn | None:
        """The turn as of which it is true; none when nothing is known."""
        return self._turn

    def learn_keys(self, turn: Turn, keys: dict[Owner, DataKey]) -> None:
        """Remember keys that were read in or after that turn, unless there was another since."""
        with self._guard:
            if turn == self._turn:
                self.keys.remember(keys)

    def learn_tokens(self, turn: Turn, tokens: dict[TokenKey, str]) -> None:
        """Remember tokens that were read in or after that turn, unless there was another since."""
        with self._guard:
            if turn == self._turn:
                self.tokens.remember(tokens)

    def move_on(self, turn: Turn, destroyed: Collection[str] | None) -> None:
        """Forget what belongs to these people, or everything if nobody knows to whom."""
        with self._guard:
            if destroyed is None:
                self.keys.forget()
                self.tokens.forget()
            else:
                self.keys.forget(lambda owner, _: owner.subject_key in destroyed)
                self.tokens.forget(lambda key, _: key[1] in destroyed)
            self._turn = turn


class Turns:
    """Follows the turns of the state store."""

    def __init__(self, engine: Engine, register: Register, memory: Memory, clock: Clock) -> None:
        self._engine = engine
        self._reader = TurnReader(engine)
        self._register = register
        self._memory = memory
        self._clock = clock
        self._connections = 0

    def catch_up(self) -> Turn:
        """Return the turn, having forgotten whatever was destroyed up to it.

        At the first call, when the connection was lost, and when the store was restored to another
        state, everything is forgotten, and what the register says
        is destroyed is destroyed in the store again.

        Raises:
            UnavailableError: the store or the register cannot be read.
        """
        turn, known = self._reader.read(), self._memory.turn
        if self._reader.connections != self._connections:
            return self._begin_anew()  # another copy of the store may have taken its place
        return turn if turn == known else self._follow(known)

    def _follow(self, known: Turn | None) -> Turn:
        with session_of(self._engine) as session:
            since = store.destructions_since(session, known.number if known is not None else 0)
        if known is None or not _continues(known, since):
            return self._begin_anew()
        later = [(turn, one) for turn, one in since if turn.number > known.number]
        if not later:  # another thread was faster, and its transaction newer
            return known
        keep_extent(self._engine, self._register.append([one for _, one in later]))
        newest = later[-1][0]
        self._memory.move_on(newest, {one.subject_key for _, one in later})
        return newest

    def _begin_anew(self) -> Turn:
        revived = finish_destructions(self._engine, self._register, self._clock())
        if revived:
            log().warning(
                "destroyed keys were in the state store and are not any more", keys=revived
            )
        turn, connections = self._reader.read(), self._reader.connections
        self._memory.move_on(turn, None)
        self._connections = connections
        return turn


def _continues(known: Turn, since: list[tuple[Turn, Tombstone]]) -> bool:
    """Whether what came since follows on what is known: the store was not restored meanwhile.

    Nothing tells it of the first destruction of a store.
    """
    return any(turn == known for turn, _ in since)
