"""hmm_rs: the hidden manifold model and its relatives, simulated and solved."""
