"""Random numbers that are the same on every machine: a hash of seed, stream and index, in integers only.

No number depends on how many were drawn before, so a book can be written in portions of any size. Streams have names;
numpy's own generators may change between releases, and so may the last bit of its exp and log: neither is used.
"""

from zlib import crc32

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
WORD = (1 << 64) - 1


def _mix(bits):
    """splitmix64's finish: every bit of the result depends on every bit of the input."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


class Dice:
    """Throws for one seed. `index` is an array of whole numbers (or one); results have its shape."""

    def __init__(self, seed):
        self.seed = seed

    def _bits(self, stream, index):
        start = (self.seed * GOLDEN + (crc32(stream.encode()) << 32) + 1) & WORD
        numbers = np.atleast_1d(np.asarray(index, dtype=np.uint64))  # a single number would warn of its overflow
        mixed = _mix(_mix(numbers * np.uint64(GOLDEN) + np.uint64(start)) + np.uint64(GOLDEN))
        return mixed.reshape(np.shape(index))

    def share(self, stream, index):
        """Floats from 0 up to, but not, 1."""
        return (self._bits(stream, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def between(self, stream, index, low, high):
        """Floats from low up to high."""
        return low + self.share(stream, index) * (high - low)

    def whole(self, stream, index, count):
        """Whole numbers from 0 up to count - 1."""
        return (((self._bits(stream, index) >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)).astype(np.int64)

    def chance(self, stream, index, share):
        """True in `share` (0..1) of the cases."""
        return self.share(stream, index) < share

    def order(self, stream, count):
        """The numbers 0..count-1 in a random order."""
        return np.argsort(self._bits(stream, np.arange(count)), kind="stable")
