"""PostgreSQL: migrations, queries in .sql files, one module per table family. Knows rows; knows no rules and no bus."""
