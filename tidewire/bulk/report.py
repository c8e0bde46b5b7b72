"""What an import did, and what it left out and why: counts by type, reasons with the first lines they hold for.

Kept in the database with each batch, so that a resumed import reports on all of it. Bounded, whatever the file holds.
"""

from msgspec import Struct, field

EXAMPLES = 20  # lines that a reason names
REASONS_MAX = 200  # different reasons; what comes then is counted together
OTHER = "other reasons"


class Reason(Struct):
    """What was left out for the same reason. whole: of whole lines; else parts of lines that came in without them."""

    type: str
    reason: str
    whole: bool
    count: int = 0
    lines: list[int] = field(default_factory=list)
    example: str = ""


class Report(Struct):
    """Counts by type: made anew, changed, found as they are. Replies, reactions and files are counted by themselves."""

    lines: int = 0
    made: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    same: dict[str, int] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)

    def count(self, outcome: str, type_: str, number: int = 1) -> None:
        """Add to what was `made`, `changed` or is the `same`."""
        if number:
            counts: dict[str, int] = getattr(self, outcome)
            counts[type_] = counts.get(type_, 0) + number

    def skip(self, line: int, type_: str, reason: str, detail: str = "") -> None:
        """Note a line that was left out."""
        self._note(line, type_, reason, detail, whole=True)

    def part(self, line: int, type_: str, reason: str, detail: str = "") -> None:
        """Note a part of a line that was left out."""
        self._note(line, type_, reason, detail, whole=False)

    def _note(self, line: int, type_: str, reason: str, detail: str, *, whole: bool) -> None:
        def find(type_: str, reason: str) -> Reason | None:
            return next(
                (r for r in self.reasons if (r.type, r.reason, r.whole) == (type_, reason, whole)), None
            )

        found = find(type_, reason)
        if found is None and len(self.reasons) >= REASONS_MAX:
            type_, reason = "line", OTHER
            found = find(type_, reason)
        if found is None:
            found = Reason(type_, reason, whole, example=detail)
            self.reasons.append(found)
        found.count += 1
        if len(found.lines) < EXAMPLES and line not in found.lines:
            found.lines.append(line)

    @property
    def skipped(self) -> int:
        """Number of lines that were left out."""
        return sum(one.count for one in self.reasons if one.whole)

    def texts(self) -> list[str]:
        """Return the report as lines for people."""
        types = list(dict.fromkeys([*self.made, *self.changed, *self.same]))
        found = [f"{'':16}{'new':>12}{'changed':>12}{'as it was':>12}"] if types else []
        for type_ in types:
            numbers = (counts.get(type_, 0) for counts in (self.made, self.changed, self.same))
            found.append(f"{type_:16}" + "".join(f"{number:>12,}" for number in numbers))
        for title, whole in (("Lines left out:", True), ("Parts of lines left out:", False)):
            reasons = [one for one in self.reasons if one.whole == whole]
            if reasons:
                found += ["", title]
            for one in sorted(reasons, key=lambda one: -one.count):
                where = ", ".join(map(str, one.lines)) + (" …" if one.count > len(one.lines) else "")
                example = f" ({one.example})" if one.example else ""
                found.append(f"  {one.count:>8,}  {one.type}: {one.reason}{example}; line {where}")
        return found
