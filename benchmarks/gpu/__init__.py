"""Measures engines on an NVIDIA GPU, beside plain PyTorch and our own CPU core."""
