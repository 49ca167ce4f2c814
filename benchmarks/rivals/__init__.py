"""What people would otherwise pick, each written as its own documentation shows it.

These programs run in ``benchmarks/.rivals``, an environment of their own; nothing here imports taskapi.
"""
