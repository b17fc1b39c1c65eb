"""Engines of NVIDIA GPUs: TensorRT plans, and PyTorch where TensorRT does not run.

::

    tensorrt/       a plan on a GPU: asked for, built, kept, run
    pytorch/        the same models in PyTorch, launched kernel by kernel or as CUDA graphs
    slots           keeps a device busy, whoever drives it
    launch_paths    which ways to launch there are, and who has them on
    device_kind     what kind of GPU there is, by the driver alone

What a batch is comes in, what an engine is goes out (`engines/base/`). No package of a GPU is
imported before an engine is asked for.
"""
