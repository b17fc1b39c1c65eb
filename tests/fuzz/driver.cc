#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

// Calls a fuzz target with a corpus, then with mutations of it; the same ones in every run.
//
//     TARGET_fuzz CORPUS_FOLDER NUM_MUTATIONS
//
// An input that ends the process is left in the file crash-input; with that file's folder and 0
// mutations it does so again.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace {

using namespace std::string_view_literals;

using Input = std::vector<std::uint8_t>;

Input current;  // for whatever ends the process

void keep_current_input() {
  if (std::FILE* file = std::fopen("crash-input", "wb")) {
    std::fwrite(current.data(), 1, current.size(), file);
    std::fclose(file);
  }
}

void keep_input_of_a_crash() {
  std::signal(SIGABRT, [](int) {
    keep_current_input();
    std::_Exit(1);
  });
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(keep_current_input);
#endif
}

std::vector<Input> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());  // folders have no order of their own
  std::vector<Input> corpus;
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<Input>& corpus) : corpus_(corpus) {}

  // One of the corpus, changed in one to eight places.
  Input next() {
    Input input = one_of_corpus();
    for (std::size_t n = 1 + below(8); n > 0; --n) {
      change(input);
    }
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return engine_() % bound; }
  const Input& one_of_corpus() { return corpus_[below(corpus_.size())]; }
  // A place in an input, its end included.
  std::ptrdiff_t place(const Input& input) {
    return static_cast<std::ptrdiff_t>(below(input.size() + 1));
  }
  // What one place may hold: any byte, or one that is likely to matter.
  std::uint8_t byte() {
    constexpr std::string_view kTelling = "\x00\x01\x7f\x80\xff{}[]\",:\\u019-e. "sv;
    return static_cast<std::uint8_t>(below(2) == 0 ? below(256) : kTelling[below(kTelling.size())]);
  }

  void change(Input& input) {
    constexpr std::size_t kMaxBytes = 4096;
    const std::ptrdiff_t at = place(input);
    switch (below(6)) {
      case 0:  // a bit
        if (at < std::ssize(input)) {
          input[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1U << below(8));
        }
        break;
      case 1:  // a byte
        if (at < std::ssize(input)) {
          input[static_cast<std::size_t>(at)] = byte();
        }
        break;
      case 2:  // a byte more, or a run of it
        input.insert(input.begin() + at, below(4) == 0 ? below(64) : 1, byte());
        break;
      case 3:  // some bytes less
        input.erase(input.begin() + at,
                    input.begin() +
                        std::min(at + static_cast<std::ptrdiff_t>(below(16)), std::ssize(input)));
        break;
      case 4: {  // a part of another input
        const Input& other = one_of_corpus();
        const std::ptrdiff_t first = place(other);
        const std::ptrdiff_t last = first + static_cast<std::ptrdiff_t>(below(64));
        input.insert(input.begin() + at, other.begin() + first,
                     other.begin() + std::min(last, std::ssize(other)));
        break;
      }
      case 5:  // the end
        if (below(4) == 0) {
          input.resize(static_cast<std::size_t>(at));
        }
        break;
    }
    input.resize(std::min(input.size(), kMaxBytes));
  }

  const std::vector<Input>& corpus_;
  std::mt19937 engine_{1};
};

void call_target(const Input& input) {
  current = input;
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

}  // namespace

int main(int num_arguments, char** arguments) {
  if (num_arguments != 3) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER NUM_MUTATIONS\n", arguments[0]);
    return 2;
  }
  const std::vector<Input> corpus = read_corpus(arguments[1]);
  const long num_mutations = std::atol(arguments[2]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no inputs to begin with\n", arguments[1]);
    return 2;
  }
  keep_input_of_a_crash();
  for (const Input& input : corpus) {
    call_target(input);
  }
  Mutator mutator(corpus);
  for (long i = 0; i < num_mutations; ++i) {
    call_target(mutator.next());
  }
  std::printf("%zu inputs, %ld mutations of them\n", corpus.size(), num_mutations);
  return 0;
}
