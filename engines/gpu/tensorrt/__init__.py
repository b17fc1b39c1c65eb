"""The engine tensorrt: a plan in half precision, padded to length buckets.

::

    engine          a plan, and the slots that feed it
    support         which GPUs a TensorRT runs on, asked before anything is built
    plans           a model's plan: from the cache, or built
    plan_cache      plans on disk. A plan is code: none is read from anywhere else
    build           from an ONNX graph to a plan
    plan_slots      runs a plan: buffers on both sides, streams, a CUDA graph for each shape
    cuda_device     the device through pycuda, its graphs through cuda-python
    api             the one place that knows that there are two TensorRTs

The graph that is built comes from `engines/onnx/`.
"""
