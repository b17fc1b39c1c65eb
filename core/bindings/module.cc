#include "bindings.h"

NB_MODULE(_core, m) {
  m.doc() =
      "The C++ core: what Python can't do fast enough.\n\n"
      "Arrays are one-dimensional, C-contiguous and of exactly the stated dtype: nothing is\n"
      "converted or copied on the way in, and another dtype is a TypeError. Arguments that "
      "contradict\n"
      "each other are a ValueError. The GIL is released during computations of more than some 100\n"
      "microseconds; an array must not change meanwhile.";
  // A thread that waits for work when the interpreter ends still holds its semaphore: no fault, and
  // nothing to tell whoever ran the program.
  nanobind::set_leak_warnings(false);
  twopass::bind_batch_plan(m);
  twopass::bind_assembly(m);
  twopass::bind_candidate_bytes(m);  // before what takes its texts
  twopass::bind_cpus(m);
  twopass::bind_encoder(m);
  twopass::bind_hit_bytes(m);
  twopass::bind_packing(m);
  twopass::bind_ranked_keys(m);
  twopass::bind_score_table(m);
  twopass::bind_semaphore(m);
  twopass::bind_splicing(m);
  twopass::bind_top_k(m);
  twopass::bind_wordpiece(m);
}
