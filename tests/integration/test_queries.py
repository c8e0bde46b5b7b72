"""Every query of every family is prepared against the migrated schema: a typo fails in seconds."""

import asyncpg
import pytest

from tidewire.store import sql


@pytest.mark.parametrize("family", sql.families())
async def test_every_query_fits_the_schema(database_url: str, family: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for name, query in sql.load(family).items():
            try:
                await connection.prepare(query)
            except asyncpg.PostgresError as error:
                raise AssertionError(f"{family}.sql, {name}: {error}") from error
    finally:
        await connection.close()
