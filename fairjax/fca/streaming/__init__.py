"""FCA over tables that do not fit into memory: blocks of rows are read again in every iteration, ahead of the
computing.

``intake`` checks what comes in and ``survey`` reads it for the first time; ``feed`` lays blocks out and ``passes`` goes
over them; ``solves`` has the small problems between passes, ``iterations`` the iterations and ``fitting`` whole fits;
``labels`` repeats the assignment to write it down.
"""
