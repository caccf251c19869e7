"""Lessons that check themselves: files, the named states they ask for, each visitor's way through, the report."""
