"""Revisions of the tables, one after the other: versions/NNNN_what.py. A release's revisions never change.

After a change of tables.py, from the root of the sources:
    alembic -c src/pagoda/workspace/storage/migrations/alembic.ini revision --autogenerate -m "what changed"
numbers the next one; read what it wrote. SQLite changes a column by `op.batch_alter_table`.
"""
