//! Decision trees laid out for the machine, and the walk through them.
