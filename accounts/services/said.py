"""What a person writes down with a decision."""

from .refusals import Refused


def said(words: str, most: int, ask: str) -> str:
    """The words on one line; Refused, with `ask`, where there are none, and where they are longer than `most`."""
    words = " ".join(words.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    if not words:
        raise Refused(ask)
    if len(words) > most:
        raise Refused(f"The words are longer than {most} characters.")
    return words
