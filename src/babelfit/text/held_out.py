"""Which documents of a corpus are held out of training: those with the lowest hashes, as a function of the text alone.

So the same ones are held out by every run, whatever its seed, and copies of one are held out together.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

MOST = 0.1
"""Share of the sentences that is held out at most, where a number of them is asked for."""


def hashed(text: str) -> int:
    """Hash a sentence or a document, to 64 bits."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8, person=b"held out").digest(), "little", signed=True)


def of_document(document: Sequence[str]) -> int:
    """Hash a document by its sentences."""
    return hashed("\n".join(document))


def drawn(documents: Iterable[list[str]], *, held_out: float, as_one: bool) -> tuple[int, Iterable[list[str]]]:
    """Draw the documents to hold out: as many as make up so many sentences, or below 1 such a share of them.

    Returns the highest of their hashes, by which training knows them, and the documents as they came, one of each.
    `as_one` says that a document counts for one, as the two sentences of a pair do. Of a number, only what is drawn is
    held in memory, and it is at most a tenth of all, but a document.
    """
    if held_out < 1:
        highest = round(held_out * (1 << 64)) - (1 << 63)
        return highest, _below(documents, highest=highest)
    lowest: list[tuple[int, int, list[str]]] = []  # a heap, the highest of them first
    known: set[int] = set()
    held = total = 0

    def leave(wanted: float) -> int:
        """Take the highest out again, as long as the others make up what is wanted."""
        left = held
        while lowest and left - (size := 1 if as_one else len(lowest[0][2])) >= wanted:
            known.discard(-heapq.heappop(lowest)[0])
            left -= size
        return left

    for place, document in enumerate(documents):
        number, size = of_document(document), 1 if as_one else len(document)
        total += size
        if number in known or (held >= held_out and number > -lowest[0][0]):
            continue
        heapq.heappush(lowest, (-number, place, document))
        known.add(number)
        held = leave(held_out) if (held := held + size) > held_out else held
    leave(min(held_out, max(1, MOST * total)))
    if not lowest:
        return -(1 << 63) - 1, []
    return -lowest[0][0], [document for _, _, document in sorted(lowest, key=lambda one: one[1])]


def _below(documents: Iterable[list[str]], *, highest: int) -> Iterator[list[str]]:
    known: set[int] = set()
    for document in documents:
        number = of_document(document)
        if number <= highest and number not in known:
            known.add(number)
            yield document
