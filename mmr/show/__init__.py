"""Hits and items for people: a table in the terminal, a page in the browser."""
