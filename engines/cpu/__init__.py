"""The engine of the C++ core: packed batches on a CPU, in int8, bfloat16 or float32."""
