"""`make truth`: the critical path of random programs, and whether the same cell says the same each time.

`programs` makes a program whose order is known, `plan` runs it by a clock of its own and tells its path,
`notebook_cell` writes it as a cell, `compare` compares; `rows` repeats cells of one kind, `unknown` adds up
what is not known, `told` asks a kernel.
"""
