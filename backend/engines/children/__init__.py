"""Small scripts that are run by the Python of another environment; the console itself imports none of them.

They use the standard library only (and what they ask about), and work from Python 3.8 on. Each takes its own folder off
``sys.path`` first, so that nothing beside it hides a module of that environment.
"""
