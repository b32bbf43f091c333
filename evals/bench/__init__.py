"""How fast facewitness is beside what else people use, on this machine, in one run: ``facewitness bench``."""
