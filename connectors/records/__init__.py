"""SQL records: users, files with their state, collections, and what was embedded once. SQLite or PostgreSQL."""
