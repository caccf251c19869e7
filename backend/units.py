"""Sizes in bytes. Code counts in bytes, a person reads GiB."""

MIB = 1 << 20
GIB = 1 << 30
