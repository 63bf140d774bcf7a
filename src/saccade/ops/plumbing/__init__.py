"""What kernels stand on and compute nothing with: which one runs, in which threads, in which memory."""
