"""Published figures, reproduced: here simulation and theory meet."""
