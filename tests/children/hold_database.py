"""Holds an SQLite file so that nobody else can write to it, until it is killed: ``python hold_database.py FILE``."""

import signal
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
while True:
    signal.pause()
