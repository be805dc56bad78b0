"""The codes around each position of a block, as the networks of `entropy` see them.

Whatever lies outside of the block counts as zeros. Shapes as in `entropy`.
"""

import numpy as np
from numpy.typing import NDArray

from semanticodec.token_format import NUM_STREAMS

POINT_SIZE = 16
# Where a code may be met again: columns back, bands down.
COPY_PLACES = ((1, 0), (2, 0), (3, 0), (0, 1), (1, -1), (1, 1))

_BOTH = NUM_STREAMS * POINT_SIZE
NUM_EARLIER = 5 * _BOTH  # t-2, three bands of t-1, means
_NUM_HERE = 2 * _BOTH, 2 * _BOTH + POINT_SIZE  # two lower bands; acoustic: the semantic code too
NUM_INPUTS = tuple(NUM_EARLIER + size for size in _NUM_HERE)

_BACK, _LOW, _HIGH = 3, 2, 1  # zeros around the block: columns before, bands below and above
_MEAN_SCALE_BITS = 4
_MEAN_DECAY_BITS = 2  # a column counts for a quarter

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class Neighbors:
    """What is known of the codes of one block.

    Args:
        points: both streams' points by rank, V D each.
        num_columns: columns of the block, T.
        num_bands: positions of a column, F.
    """

    def __init__(self, points: list[Array], num_columns: int, num_bands: int) -> None:
        self._points_of = points
        self._num_bands = num_bands
        shape = num_columns + _BACK, num_bands + _LOW + _HIGH, NUM_STREAMS
        self._points = np.zeros((*shape, POINT_SIZE))
        self._ranks = np.full(shape, -1, np.int64)
        self._means = np.zeros((num_columns + 1, num_bands, _BOTH), np.int64)  # before column t

    def put(self, column: int, band: int, stream: int, rank: int) -> None:
        """Take the next code."""
        self._points[column + _BACK, band + _LOW, stream] = self._points_of[stream][rank]
        self._ranks[column + _BACK, band + _LOW, stream] = rank

    def put_all(self, ranks: list[Ints]) -> None:
        """Take the codes of the whole block, T F of each stream."""
        for stream, own in enumerate(ranks):
            bands = slice(_LOW, _LOW + self._num_bands)
            self._points[_BACK:, bands, stream] = self._points_of[stream][own]
            self._ranks[_BACK:, bands, stream] = own
        for column in range(len(ranks[0])):
            self.end_column(column)

    def end_column(self, column: int) -> None:
        """Move the running means on, when a column is complete."""
        bands = slice(_LOW, _LOW + self._num_bands)
        points = self._points[column + _BACK, bands].reshape(self._num_bands, _BOTH)
        scaled = points.astype(np.int64) << _MEAN_SCALE_BITS
        means = self._means[column]
        step = scaled - means >> (_MEAN_DECAY_BITS if column else 0)
        self._means[column + 1] = means + step

    def ranks(self, stream: int) -> Ints:
        """Return the ranks of one stream, N."""
        return self._ranks[_BACK:, _LOW : _LOW + self._num_bands, stream].ravel()

    def earlier(self, column: int) -> Array:
        """Return the inputs of a column that earlier ones give, F I."""
        return self._earlier(slice(column, column + 1))[0]

    def here(self, column: int, band: int, stream: int) -> Array:
        """Return the inputs of a position that its own column gives, I."""
        start = band * _BOTH
        return self._points[column + _BACK].reshape(-1)[start : start + _NUM_HERE[stream]]

    def inputs(self, stream: int) -> Array:
        """Return the inputs of all positions, T F I."""
        num_columns = len(self._means) - 1
        flat = self._points[_BACK:].reshape(num_columns, -1)
        here = np.lib.stride_tricks.sliding_window_view(flat, _NUM_HERE[stream], axis=1)
        here = here[:, : self._num_bands * _BOTH : _BOTH]
        return np.concatenate((self._earlier(slice(0, num_columns)), here), -1)

    def met_at(self, column: int, band: int, stream: int) -> list[int]:
        """Return the ranks at `COPY_PLACES` around a position; -1: none."""
        ranks = self._ranks
        return [
            int(ranks[column + _BACK - back, band + _LOW - down, stream])
            for back, down in COPY_PLACES
        ]

    def met(self, stream: int) -> Ints:
        """Return the ranks at `COPY_PLACES` around all positions, T F P."""
        num_columns = len(self._means) - 1
        places = [
            self._ranks[
                _BACK - back : _BACK - back + num_columns,
                _LOW - down : _LOW - down + self._num_bands,
                stream,
            ]
            for back, down in COPY_PLACES
        ]
        return np.stack(places, -1)

    def _earlier(self, columns: slice) -> Array:
        """Return t-2 of the band, t-1 of three bands, and the means, for some columns."""
        shape = columns.stop - columns.start, self._num_bands, -1
        places = [(2, 0), (1, 1), (1, 0), (1, -1)]  # back, down
        found = [
            self._points[
                columns.start + _BACK - back : columns.stop + _BACK - back,
                _LOW - down : _LOW - down + self._num_bands,
            ].reshape(shape)
            for back, down in places
        ]
        means = (self._means[columns] >> _MEAN_SCALE_BITS).astype(np.float64)
        return np.concatenate((*found, means), -1)
