"""Compiles every kernel of `triton_rows.py` to machine code of a GPU; none is needed for it.

`python compile_rows.py 90` prints a line for each: name, bytes of machine code.
"""

import sys

from triton import compile as compiled
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from twopass.engines.gpu.pytorch.forward import triton_rows
from twopass.engines.model.architecture import Activation

FLOAT16, FLOAT32, INT32, INT64 = "*fp16", "*fp32", "*i32", "*i64"
ROWS, COLUMNS = triton_rows.rows_a_program(384)
NORM = {"weight_ptr": FLOAT32, "bias_ptr": FLOAT32}
SIZES = {"WIDTH": 384, "EPS": 1e-12, "ROWS": ROWS, "COLUMNS": COLUMNS}


def stored(wide, narrow):
    return {"normed_ptr": wide, "narrow_ptr": narrow}


def kernels():
    """Each kernel as models launch it: pointers' types, and what is compiled in."""
    for wide, narrow in ((FLOAT16, FLOAT16), (FLOAT32, "*bf16"), (FLOAT32, FLOAT32)):
        pointers = {"wide_ptr": wide, "added_ptr": narrow, "sum_ptr": wide}
        flags = {"ADDS": True, "STORES_SUM": wide != narrow, "STORES_NARROW": wide != narrow}
        yield triton_rows.add_norm, pointers | NORM | stored(wide, narrow), SIZES | flags
        inputs = {"token_ids_ptr": INT32, "position_ptr": INT64, "sequence_ptr": INT64}
        inputs |= {"query_lengths_ptr": INT32, "words_ptr": narrow}
        inputs |= {"positions_ptr": FLOAT32, "types_ptr": FLOAT32}
        flags = {"HAS_POSITIONS": True, "NUM_TYPES": 2, "STORES_NARROW": wide != narrow}
        yield triton_rows.embed_norm, inputs | NORM | stored(wide, narrow), SIZES | flags
    for activation in Activation:
        sizes = {"WIDTH": 1_152, "ACTIVATION": activation.value, "BLOCK": 1_024}
        pointers = {"inner_ptr": FLOAT16, "out_ptr": FLOAT16}
        yield triton_rows.gated_activation, pointers, sizes
    pointers = {"projected_ptr": FLOAT16, "cosines_ptr": FLOAT32, "sines_ptr": FLOAT32}
    sizes = {"WIDTH": 2_304, "NUM_HEADS": 24, "HALF": 32, "HEADS": 32, "COLUMNS": 32}
    yield triton_rows.rotate, pointers, sizes


def main(capability):
    for kernel, pointers, constants in kernels():
        types = pointers | dict.fromkeys(constants, "constexpr")
        signature = {name: types.get(name, "i32") for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        found = compiled(source, target=GPUTarget("cuda", capability, 32))
        print(kernel.__name__, len(found.asm["cubin"]))


if __name__ == "__main__":
    main(int(sys.argv[1]))
