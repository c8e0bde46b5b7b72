"""Rows become structs by the names of their columns, whatever their order."""

from msgspec import Struct

from tidewire.store.sql import structs


class Gull(Struct):
    """A struct with members that no row has."""

    name: str
    age: int = 0
    eggs: int = 0


class Row(dict[str, object]):
    """A row as the driver gives it: values by name and by number."""

    def __getitem__(self, key: object) -> object:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(str(key))


def test_rows_become_structs_by_name() -> None:
    assert structs(Gull, []) == []
    assert structs(Gull, [Row(age=3, name="Jo"), Row(age=4, name="Al")]) == [Gull("Jo", 3), Gull("Al", 4)]
    assert structs(Gull, [Row(eggs=3, name="Jo")]) == [Gull("Jo", eggs=3)]  # a gap: not by place
    assert structs(Gull, [Row(name="Jo")]) == [Gull("Jo")]
