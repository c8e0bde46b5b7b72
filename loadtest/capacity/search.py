"""Which number of users to try next: larger by a factor while targets hold, then the middle between held and broken.

Pure; knows nothing of runs.
"""

from dataclasses import dataclass


@dataclass
class Search:
    """start, most: first and largest number to try. factor: from one step to the next, above 1. precision: the search
    ends when held and broken differ by less than this share."""

    start: int
    most: int
    factor: float = 2.0
    precision: float = 0.1
    held: int = 0  # the largest that held
    broke: int = 0  # the smallest that did not; 0: none yet

    def __post_init__(self) -> None:
        if not 1 <= self.start <= self.most or self.factor <= 1 or not 0 < self.precision < 1:
            raise ValueError("start is 1 to most, factor above 1, precision between 0 and 1")

    def next(self) -> int:
        """Return the number to try; 0: the search is over."""
        if not self.broke:
            if not self.held:
                return self.start
            return (
                0
                if self.held >= self.most
                else min(self.most, max(self.held + 1, int(self.held * self.factor)))
            )
        middle = (self.held + self.broke) // 2
        near = self.broke - self.held <= max(1, int(self.broke * self.precision))
        return 0 if near or middle in (self.held, self.broke) else middle

    def note(self, users: int, held: bool) -> None:
        """Take what came of a number."""
        if held:
            self.held = max(self.held, users)
        elif not self.broke or users < self.broke:
            self.broke = users
