"""The API over HTTP: real Granian, PostgreSQL and Redis."""
