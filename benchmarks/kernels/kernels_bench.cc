// How near each kernel comes to the machine: products against the measured peak of their
// instruction, row kernels in bytes a second. One thread; `kernels_bench [isa ...]`.

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/aligned.h"
#include "cpu/kernels.h"
#include "ops/activation.h"
#include "peaks.h"

namespace twopass {
namespace {

// Processor time of this thread, which another process's turn on the core does not count in.
double seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Seconds of one call: the best of many rounds of at least 2 ms.
double time_of(const std::function<void()>& call) {
  double best = 1e9;
  std::size_t calls = 1;
  for (int round = 0; round < 40; ++round) {
    const double began = seconds();
    for (std::size_t i = 0; i < calls; ++i) {
      call();
    }
    const double took = seconds() - began;
    if (took < 2e-3) {
      calls *= 2;
    } else {
      best = std::min(best, took / static_cast<double>(calls));
    }
  }
  return best;
}

struct Shape {
  const char* name;
  std::size_t num_rows, width, depth;
  Epilogue epilogue;
};

// MiniLM's products as the encoder asks for them, and those of attention at 128 tokens; the MLP of
// ModernBERT-base.
constexpr Shape kShapes[] = {{"one head's projections", 256, 96, 384, Epilogue::kStore},
                             {"attention output", 64, 384, 384, Epilogue::kAdd},
                             {"intermediate, GELU", 64, 1536, 384, Epilogue::kGelu},
                             {"output", 64, 384, 1536, Epilogue::kAdd},
                             {"gate and up, GELU", 64, 2304, 768, Epilogue::kGatedGelu},
                             {"down", 64, 768, 1152, Epilogue::kAdd},
                             {"scores", 64, 128, 32, Epilogue::kRaw},
                             {"shares by values", 64, 32, 128, Epilogue::kRaw}};

struct Buffers {
  AlignedArray<float> left{512 * 1536}, right{2304 * 1536}, output{512 * 2304}, bias{2304};
  AlignedArray<std::int32_t> corrections{2304};
};

void bench_products(const KernelTable& kernels, Buffers& buffers) {
  const Peaks peaks = measure_peaks(kernels.isa);
  std::printf("%-12s %-24s %14s %8s %14s %8s %14s %8s\n", "", "product", "int8 GOPS", "of peak",
              "bf16 GFLOPS", "of peak", "f32 GFLOPS", "of peak");
  for (const Shape& s : kShapes) {
    const GemmOutput output{buffers.output.data(), s.width, s.epilogue, buffers.bias.data(),
                            &gelu_coefficients(Activation::kGelu)};
    const double work = 2e-9 * static_cast<double>(s.num_rows * s.width * s.depth);
    const std::size_t panels = s.width / kPanelWidth;
    const auto as = [](AlignedArray<float>& array, auto* type) {
      return reinterpret_cast<decltype(type)>(array.data());
    };
    // Attention is never in int8, whose depths are multiples of 64.
    const double int8 =
        s.depth % 64 != 0
            ? 0
            : work / time_of([&] {
                kernels.gemm_int8(
                    {{as(buffers.left, static_cast<std::uint8_t*>(nullptr)), s.depth, s.num_rows,
                      as(buffers.right, static_cast<std::int8_t*>(nullptr)), panels, s.depth,
                      output},
                     buffers.bias.data(),
                     buffers.bias.data(),
                     buffers.corrections.data()});
              });
    const double bf16 =
        work / time_of([&] {
          kernels.gemm_bf16({as(buffers.left, static_cast<std::uint16_t*>(nullptr)), s.depth,
                             s.num_rows, as(buffers.right, static_cast<std::uint16_t*>(nullptr)),
                             panels, s.depth, output});
        });
    const double f32 = work / time_of([&] {
                         kernels.gemm_f32({buffers.left.data(), s.depth, s.num_rows,
                                           buffers.right.data(), panels, s.depth, output});
                       });
    std::printf("%-12s %-24s %14.0f %7.0f%% %14.0f %7.0f%% %14.0f %7.0f%%\n",
                std::string(name_of(kernels.isa)).c_str(), s.name, int8, 100 * int8 / peaks.int8,
                bf16, 100 * bf16 / peaks.bf16, f32, 100 * f32 / peaks.f32);
  }
}

void bench_rows(const KernelTable& kernels, Buffers& buffers) {
  constexpr std::size_t kRows = 64, kWidth = 384;
  constexpr double kElements = kRows * kWidth;
  auto* bytes = reinterpret_cast<std::uint8_t*>(buffers.right.data());
  auto* halves = reinterpret_cast<std::uint16_t*>(buffers.right.data());
  auto* words = reinterpret_cast<std::uint32_t*>(buffers.right.data());
  const auto row = [&](const char* name, const std::function<void()>& call) {
    std::printf("%-12s %-24s %14.3f ns an element\n", std::string(name_of(kernels.isa)).c_str(),
                name, 1e9 * time_of(call) / kElements);
  };
  row("quantize_rows", [&] {
    kernels.quantize_rows(buffers.left.data(), buffers.bias.data(), kRows, kWidth, bytes,
                          buffers.bias.data());
  });
  row("round_rows",
      [&] { kernels.round_rows(buffers.left.data(), kWidth, kRows, kWidth, halves); });
  row("layer_norm", [&] {
    kernels.layer_norm(buffers.output.data(), kRows, kWidth, buffers.bias.data(),
                       buffers.bias.data(), 1e-12F, buffers.output.data());
  });
  row("exp_rows_bf16", [&] {
    kernels.exp_rows_bf16(
        {buffers.left.data(), kRows, kWidth, kWidth, halves, buffers.bias.data()});
  });
  row("rotate_rows, heads of 64", [&] {
    kernels.rotate_rows(buffers.output.data(), 64, kRows * kWidth / 64, 32, buffers.left.data());
  });
  row("transpose_words", [&] {
    kernels.transpose_words(reinterpret_cast<std::uint32_t*>(buffers.left.data()), kWidth, kRows,
                            kWidth, words, kRows);
  });
}

void bench(Isa isa) {
  const KernelTable* table = find_kernels(isa);
  Buffers buffers;
  table->begin();
  bench_products(*table, buffers);
  bench_rows(*table, buffers);
  table->end();
}

}  // namespace
}  // namespace twopass

int main(int argc, char** argv) {
  for (const twopass::Isa isa : twopass::supported_isas()) {
    const auto names = [isa](const char* given) { return twopass::name_of(isa) == given; };
    if (argc == 1 || std::any_of(argv + 1, argv + argc, names)) {
      twopass::bench(isa);
    }
  }
}
