"""Engines of NVIDIA GPUs: TensorRT plans, and PyTorch where TensorRT does not run.

CUDA itself is behind `cuda_device.py`. Plans are code: they are built here and read from the
cache's own folder alone (`plan_cache.py`).
"""
