"""Entry point of Alembic: migrations run on the connection that database.open_database passes in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
