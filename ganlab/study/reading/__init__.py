"""While readers read: invitations, sessions, answers and the database that stores them."""
