"""Where the workspace keeps what it knows: tables, the database, migrations, backups."""
