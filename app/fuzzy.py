"""How well a few typed letters fit a title."""

from __future__ import annotations

__all__ = ["fuzzy_score"]

_START_OF_WORD, _NEXT_TO_LAST, _GAP = 8.0, 5.0, 0.2


def fuzzy_score(typed: str, title: str) -> float | None:
    """Higher is better; None where the letters do not all occur in that order, capitals and blanks aside.

    Letters that begin a word and letters that follow one another count more than scattered ones, short titles more than
    long ones.
    """
    letters, text = typed.lower().replace(" ", ""), title.lower()
    if not letters:
        return 0.0
    # best[i]: the best score of the letters so far with the last of them at place i.
    best: dict[int, float] = {}
    for rank, letter in enumerate(letters):
        here: dict[int, float] = {}
        for place in (i for i, known in enumerate(text) if known == letter):
            own = _START_OF_WORD if place == 0 or not text[place - 1].isalnum() else 1.0
            if rank == 0:
                here[place] = own - _GAP * place
                continue
            before = [
                score + (_NEXT_TO_LAST if place == last + 1 else -_GAP * (place - last))
                for last, score in best.items()
                if last < place
            ]
            if before:
                here[place] = own + max(before)
        best = here
        if not best:
            return None
    return max(best.values()) - 0.05 * len(text)
