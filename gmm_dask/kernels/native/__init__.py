"""Machine code made to measure: a small generator of vector code on LLVM, and its kernels."""
