#ifndef TWOPASS_BINDINGS_BINDINGS_H_
#define TWOPASS_BINDINGS_BINDINGS_H_

#include <nanobind/nanobind.h>

namespace twopass {

// Each adds one header of include/twopass to the module.
void bind_assembly(nanobind::module_& m);
void bind_batch_plan(nanobind::module_& m);
void bind_candidate_bytes(nanobind::module_& m);
void bind_cpus(nanobind::module_& m);
void bind_encoder(nanobind::module_& m);
void bind_hit_bytes(nanobind::module_& m);
void bind_packing(nanobind::module_& m);
void bind_ranked_keys(nanobind::module_& m);
void bind_score_table(nanobind::module_& m);
void bind_semaphore(nanobind::module_& m);
void bind_splicing(nanobind::module_& m);
void bind_top_k(nanobind::module_& m);
void bind_wordpiece(nanobind::module_& m);

}  // namespace twopass

#endif  // TWOPASS_BINDINGS_BINDINGS_H_
