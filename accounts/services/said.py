"""What a person sends along with a decision: words of their own, and what their page showed them."""

from decimal import Decimal, InvalidOperation

from .refusals import Refused

LARGEST = Decimal(10) ** 13  # no figure on a page comes near it; of 1e999999999 every word would fill the memory


def said(words: str, most: int, ask: str) -> str:
    """The words on one line; Refused, with `ask`, where there are none, and where they are longer than `most`."""
    words = " ".join(words.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    if not words:
        raise Refused(ask)
    if len(words) > most:
        raise Refused(f"The words are longer than {most} characters.")
    return words


def shown(text: str) -> Decimal:
    """A figure that the person was shown, as their page sends it back; Refused where it did not arrive."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not (number.is_finite() and -LARGEST < number < LARGEST):
        raise Refused("What the page showed did not arrive whole, so nothing was done. Do it again from here.")
    return number
