"""Random fair-assignment programmes, and proofs of what came out."""
