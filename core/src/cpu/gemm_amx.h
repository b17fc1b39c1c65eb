#ifndef TWOPASS_SRC_CPU_GEMM_AMX_H_
#define TWOPASS_SRC_CPU_GEMM_AMX_H_

#include <immintrin.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cpu/epilogue.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"

// Matrix products on tiles of 16 rows by 64 bytes. A panel is two tiles wide as it lies, so 32 rows
// by one panel are four tiles of sums, two of rows and two of columns: all eight there are.

namespace twopass {
namespace {

constexpr std::size_t kTileRows = 16;
constexpr std::size_t kTileBytes = 64;
constexpr std::size_t kPanelRowBytes = kPanelWidth * sizeof(std::uint32_t);

// Layout of the operand of ldtilecfg: palette 1, every tile of full size.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t column_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

inline void begin_tiles() noexcept {
  static constexpr TileConfig config;
  _tile_loadconfig(&config);
}

inline void end_tiles() noexcept { _tile_release(); }

// Tiles 0 to 3 hold sums (row tile major), 4 and 5 rows, 6 and 7 columns.
struct AmxInt8 {
  using Args = GemmInt8;
  static constexpr std::size_t kPerWord = 4;

  template <std::size_t kRowTiles>
  static void start(const Args& args, std::size_t column) {
    const std::int32_t* corrections = args.corrections + column;
    _tile_loadd(0, corrections, 0);  // the same line for each of the sixteen rows
    _tile_loadd(1, corrections + kTileRows, 0);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(2, corrections, 0);
      _tile_loadd(3, corrections + kTileRows, 0);
    }
  }
  template <std::size_t kRowTiles>
  static void step() {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    if constexpr (kRowTiles == 2) {
      _tile_dpbusd(2, 5, 6);
      _tile_dpbusd(3, 5, 7);
    }
  }

  // What the epilogue needs of sixteen columns, and then of a row.
  template <typename V, Epilogue>
  struct Columns {
    typename V::F scale, bias;

    Columns(const Args& args, std::size_t column)
        : scale(V::load(args.column_scales + column)), bias(V::load(args.output.bias + column)) {}
    typename V::F value(const Args& args, const void* sums, std::size_t row) const {
      const typename V::F scaled = V::mul(V::to_float(V::load_words(sums)), scale);
      return V::fma(scaled, V::broadcast(args.row_scales[row]), bias);
    }
  };
};

struct AmxBf16 {
  using Args = GemmBf16;
  static constexpr std::size_t kPerWord = 2;

  template <std::size_t kRowTiles>
  static void start(const Args&, std::size_t) {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kRowTiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  template <std::size_t kRowTiles>
  static void step() {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kRowTiles == 2) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }

  template <typename V, Epilogue kEpilogue>
  struct Columns {
    typename V::F bias;

    Columns(const Args& args, std::size_t column)
        : bias(kEpilogue == Epilogue::kRaw ? V::broadcast(0.0F)
                                           : V::load(args.output.bias + column)) {}
    typename V::F value(const Args&, const void* sums, std::size_t) const {
      return V::add(V::load(static_cast<const float*>(sums)), bias);
    }
  };
};

// The sums of 32 rows by one panel, whatever is in those that were not computed.
inline void store_tiles(void* target, std::size_t stride) {
  auto* bytes = static_cast<std::byte*>(target);
  _tile_stored(0, bytes, stride);
  _tile_stored(1, bytes + kTileBytes, stride);
  _tile_stored(2, bytes + kTileRows * stride, stride);
  _tile_stored(3, bytes + kTileRows * stride + kTileBytes, stride);
}

// Two blocks of sums, since a block's epilogue reads one while the tiles of the next fill the
// other.
struct alignas(64) SumBuffers {
  std::byte bytes[2][2 * kTileRows * kPanelRowBytes];
};

// A block of sums that waits in memory for its epilogue, which runs between the tile instructions
// of the block after: vectors and tiles are computed by different ports, and a reorder buffer does
// not reach from one block to the next. Held in registers, hence no pointer to it.
template <typename V, typename Product, Epilogue kEpilogue>
struct PendingBlock {
  using Columns = typename Product::template Columns<V, kEpilogue>;

  const std::byte* sums;
  std::size_t next_row;
  std::size_t last_row;
  std::size_t column;
  Columns left, right;

  // Finishes the next rows, at most so many.
  [[gnu::always_inline]] void finish_rows(const typename Product::Args& args,
                                          std::size_t num_rows) {
    const std::size_t last = std::min(next_row + num_rows, last_row);
    for (; next_row < last; ++next_row, sums += kPanelRowBytes) {
      const typename V::F first = left.value(args, sums, next_row);
      const typename V::F second = right.value(args, sums + kTileBytes, next_row);
      if constexpr (is_gated(kEpilogue)) {
        finish_gated<V, kEpilogue>(first, second, args.output, next_row, column / 2);
      } else {
        finish<V, kEpilogue>(first, args.output, next_row, column);
        finish<V, kEpilogue>(second, args.output, next_row, column + V::kWidth);
      }
    }
  }
};

// Up to 16 * kRowTiles rows by one panel: leaves the sums in the tiles.
template <typename V, typename Product, Epilogue kEpilogue, std::size_t kRowTiles>
[[gnu::always_inline]] inline void multiply_block(const typename Product::Args& args,
                                                  std::size_t first_row, std::size_t panel,
                                                  PendingBlock<V, Product, kEpilogue>& pending) {
  const std::size_t first_column = panel * kPanelWidth;
  const auto* columns = reinterpret_cast<const std::byte*>(args.panels + first_column * args.depth);
  const auto* rows = reinterpret_cast<const std::byte*>(args.rows + first_row * args.row_stride);
  const std::size_t row_bytes = args.row_stride * sizeof(std::uint32_t) / Product::kPerWord;
  const std::size_t num_steps = args.depth * sizeof(std::uint32_t) / Product::kPerWord / kTileBytes;
  const std::size_t rows_a_step = 2 * kTileRows / num_steps + 1;

  Product::template start<kRowTiles>(args, first_column);
  for (std::size_t step = 0; step < num_steps; ++step) {
    _tile_loadd(6, columns, kPanelRowBytes);
    _tile_loadd(4, rows, row_bytes);
    _tile_loadd(7, columns + kTileBytes, kPanelRowBytes);
    if constexpr (kRowTiles == 2) {
      _tile_loadd(5, rows + kTileRows * row_bytes, row_bytes);
    }
    Product::template step<kRowTiles>();
    columns += kTileRows * kPanelRowBytes;
    rows += kTileBytes;
    pending.finish_rows(args, rows_a_step);
  }
}

// All rows by all panels; the epilogue of each block runs during the block after.
template <typename V, typename Product, Epilogue kEpilogue>
void multiply_blocks(const typename Product::Args& args) {
  using Pending = PendingBlock<V, Product, kEpilogue>;
  SumBuffers buffers;
  std::size_t current = 0;
  Pending pending{buffers.bytes[0], 0, 0, 0, {args, 0}, {args, 0}};
  for (std::size_t panel = 0; panel < args.num_panels; ++panel) {
    const std::size_t column = panel * kPanelWidth;
    for (std::size_t row = 0; row < args.num_rows; row += 2 * kTileRows) {
      const std::size_t rest = args.num_rows - row;
      if (rest > kTileRows) {
        multiply_block<V, Product, kEpilogue, 2>(args, row, panel, pending);
      } else {
        multiply_block<V, Product, kEpilogue, 1>(args, row, panel, pending);
      }
      pending.finish_rows(args, 2 * kTileRows);
      // Raw sums of whole tiles need nothing but to be stored.
      if (kEpilogue == Epilogue::kRaw && rest >= 2 * kTileRows) {
        store_tiles(args.output.values + row * args.output.stride + column,
                    args.output.stride * sizeof(float));
        continue;
      }
      current ^= 1;
      store_tiles(buffers.bytes[current], kPanelRowBytes);
      pending = Pending{buffers.bytes[current],
                        row,
                        std::min(row + 2 * kTileRows, args.num_rows),
                        column,
                        {args, column},
                        {args, column + V::kWidth}};
    }
  }
  pending.finish_rows(args, 2 * kTileRows);
}

template <typename V, typename Product>
void multiply_amx(const typename Product::Args& args) noexcept {
  with_epilogue(args.output.epilogue,
                [&args]<Epilogue kEpilogue>() { multiply_blocks<V, Product, kEpilogue>(args); });
}

}  // namespace
}  // namespace twopass

#endif  // TWOPASS_SRC_CPU_GEMM_AMX_H_
