"""How text, tables, instants and spans look where people read them, and text of others without an effect.

It imports nothing of drs, and every other folder may import it.
"""
